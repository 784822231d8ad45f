# A PutObject whose second half is sent only after a line on standard input.
import http.client, urllib.parse
bucket, = args
url = urllib.parse.urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "slow"}))
connection = http.client.HTTPConnection(url.netloc)
connection.putrequest("PUT", f"{url.path}?{url.query}")
connection.putheader("Content-Length", str(2 << 20))
connection.endheaders()
connection.send(b"a" * (1 << 20))
print("half", flush=True)
sys.stdin.readline()
connection.send(b"b" * (1 << 20))
print(connection.getresponse().status, flush=True)

# A condition signed into a URL by boto3, used by a client that knows nothing of S3.
import urllib.error, urllib.request
bucket, = args
signing = boto3.client("s3", endpoint_url=os.environ["HAUL_TEST_ENDPOINT"],
                       config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
url = signing.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k", "IfNoneMatch": "*"})
def put(body):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT")) as answered:
            return answered.status
    except urllib.error.HTTPError as error:
        return error.code
answer({
    "in_query": "If-None-Match=%2A" in url,
    "first": put(b"first"),
    "second": put(b"second"),
    "kept": s3.get_object(Bucket=bucket, Key="k")["Body"].read().decode(),
})

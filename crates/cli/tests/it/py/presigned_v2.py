# URLs signed with version 2 by boto3, used by a client that knows nothing of S3.
import urllib.error, urllib.request
bucket, = args
old = boto3.client("s3", endpoint_url=os.environ["HAUL_TEST_ENDPOINT"],
                   config=Config(signature_version="s3", s3={"addressing_style": "path"}))
def url(method, key, seconds=60, **more):
    return old.generate_presigned_url(method, Params={"Bucket": bucket, "Key": key, **more}, ExpiresIn=seconds)
def ask(method, url, body=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method)) as answered:
            return [answered.status, answered.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
put = url("put_object", "a key+ü")
assert "Signature=" in put and "X-Amz-" not in put, put
# urllib sends a Content-Type of its own, which version 2 signs: an empty one has to be asked for.
request = urllib.request.Request(put, data=b"sent", method="PUT", headers={"Content-Type": ""})
with urllib.request.urlopen(request) as answered:
    status = answered.status
get = url("get_object", "a key+ü")
# What boto3 puts into the query, because it cannot make the caller send it.
described = url("put_object", "described", Metadata={"color": "blue"}, ContentType="text/plain", StorageClass="STANDARD_IA")
assert "x-amz-meta-color=blue" in described, described
request = urllib.request.Request(described, data=b"sent", method="PUT", headers={"Content-Type": "text/plain"})
with urllib.request.urlopen(request) as answered:
    described_status = answered.status
head = s3.head_object(Bucket=bucket, Key="described")
answer({
    "described": [described_status, head["Metadata"], head["ContentType"], head["StorageClass"]],
    "changed": ask("PUT", described.replace("=blue", "=green"), b"sent"),
    "tags": ask("GET", get + "&tagging&tagging"),
    "put": status,
    "get": ask("GET", get),
    "other_key": ask("GET", get.replace("a%20key", "b%20key")),
    "other_method": ask("DELETE", get),
    "expired": ask("GET", url("get_object", "a key+ü", -60)),
    "a_month": ask("GET", url("get_object", "a key+ü", 30 * 24 * 3600)),
})

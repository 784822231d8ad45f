# Heads of 200 PUTs and 300 GETs as they go over the wire, each signed with the hash of its payload.
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

bucket, payload_sha256, length = args
endpoint = os.environ["HAUL_TEST_ENDPOINT"]
empty = hashlib.sha256(b"").hexdigest()


class Signer(S3SigV4Auth):
    def __init__(self, payload):
        super().__init__(boto3.Session().get_credentials(), "s3", "us-east-1")
        self.of_payload = payload

    def payload(self, request):
        return self.of_payload


def head(method, key, payload, length):
    request = AWSRequest(method, f"{endpoint}/{bucket}/{key}")
    Signer(payload).add_auth(request)
    lines = [f"{method} /{bucket}/{key} HTTP/1.1", "host: " + endpoint.removeprefix("http://")]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"content-length: {length}"] if length else []
    return "\r\n".join(lines) + "\r\n\r\n"


answer({
    "puts": [head("PUT", f"put-{number}", payload_sha256, length) for number in range(200)],
    "gets": [head("GET", "large", empty, None) for _ in range(300)],
})

"""Transfers by boto3's transfer manager on the AWS CRT, for the client benchmark.

boto3_crt.py upload|upload-folder|download PATH BUCKET KEY [PART-BYTES CONCURRENCY]

boto3 itself passes neither an endpoint nor a plain connection to the CRT, so this program makes the
same objects as boto3.crt does, with both.
"""

import os
import sys

import botocore.session
from boto3.s3.transfer import TransferConfig
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

what, path, bucket, key, *settings = sys.argv[1:]
endpoint, region = os.environ["BENCH_ENDPOINT"], os.environ["AWS_REGION"]
session = botocore.session.Session()
credentials = BotocoreCRTCredentialsWrapper(session.get_credentials())
client = create_s3_crt_client(
    region=region,
    crt_credentials_provider=credentials.to_crt_credentials_provider(),
    use_ssl=endpoint.startswith("https:"),
    verify=os.environ.get("AWS_CA_BUNDLE"),
)
serializer = BotocoreCRTRequestSerializer(
    session, {"region_name": region, "endpoint_url": endpoint}
)
config = TransferConfig()
if settings:
    part_bytes, concurrency = map(int, settings)
    config = TransferConfig(multipart_chunksize=part_bytes, max_concurrency=concurrency)
manager = CRTTransferManager(client, serializer, config=config)
if what == "upload":
    futures = [manager.upload(path, bucket, key)]
elif what == "download":
    futures = [manager.download(bucket, key, path)]
else:
    names = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    futures = [
        manager.upload(name, bucket, f"{key}/{os.path.relpath(name, path)}") for name in names
    ]
for future in futures:
    future.result()

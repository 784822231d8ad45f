from boto3.s3.transfer import TransferConfig
bucket, key, path = args
config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
with open(path, "rb") as file:
    s3.upload_fileobj(file, bucket, key, Config=config)
answer(True)

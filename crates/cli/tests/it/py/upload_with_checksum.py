from boto3.s3.transfer import TransferConfig
bucket, key, path, algorithm = args
config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
s3.upload_file(path, bucket, key, Config=config, ExtraArgs={"ChecksumAlgorithm": algorithm})
head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
answer(head.get("Checksum" + algorithm))

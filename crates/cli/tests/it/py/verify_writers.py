# The sample as objects of boto3: every part size (MiB) with every algorithm.
from boto3.s3.transfer import TransferConfig
bucket, path, sizes, algorithms = args
for size in sizes.split(","):
    chunk = int(size) << 20
    config = TransferConfig(multipart_threshold=chunk, multipart_chunksize=chunk, max_concurrency=4)
    for algorithm in algorithms.split(","):
        extra = {} if algorithm == "none" else {"ChecksumAlgorithm": algorithm}
        s3.upload_file(path, bucket, f"w/boto3/{size}/{algorithm}", ExtraArgs=extra, Config=config)
answer(True)

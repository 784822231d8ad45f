bucket, key = args
hash = hashlib.sha256()
got = s3.get_object(Bucket=bucket, Key=key)
for run in got["Body"].iter_chunks(1 << 20):
    hash.update(run)
answer({"sha256": hash.hexdigest(), "etag": s3.head_object(Bucket=bucket, Key=key)["ETag"]})

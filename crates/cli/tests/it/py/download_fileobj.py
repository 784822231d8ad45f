bucket, key, path = args
with open(path, "wb") as file:
    s3.download_fileobj(bucket, key, file)
answer(True)

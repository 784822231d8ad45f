# Puts an object before, while and after the server has no file number left, on one connection.
def put(key):
    try:
        answered = s3.put_object(Bucket=args[0], Key=key, Body=b"x" * 100_000)
        return [answered["ResponseMetadata"]["HTTPStatusCode"], None, None]
    except botocore.exceptions.ClientError as error:
        metadata = error.response["ResponseMetadata"]
        return [metadata["HTTPStatusCode"], error.response["Error"]["Code"],
                metadata["HTTPHeaders"].get("retry-after")]


for key in ["before", "meanwhile", "after"]:
    print(json.dumps(put(key)), flush=True)
    sys.stdin.readline()

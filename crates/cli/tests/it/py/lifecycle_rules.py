# args: bucket, then "put" and rules as JSON, or "get". Answers the rules, sorted by id.
bucket, what = args[0], args[1]
if what == "put":
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": json.loads(args[2])})
try:
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
except botocore.exceptions.ClientError as error:
    assert error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration", error
    rules = []
answer(sorted(rules, key=lambda rule: rule["ID"]))

# args: bucket, how many. Forty have a part, number 0 has 1,100 parts; answers their upload ids.
from concurrent.futures import ThreadPoolExecutor
bucket, count = args[0], int(args[1])
clients = [boto3.client("s3", endpoint_url=os.environ["HAUL_TEST_ENDPOINT"],
                        config=Config(retries={"total_max_attempts": 3}, s3={"addressing_style": "path"}))
           for _ in range(4)]
def make(number):
    client = clients[number % len(clients)]
    key = f"orphans/{number:05d}"
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = 1100 if number == 0 else (1 if number <= 40 else 0)
    for part in range(1, parts + 1):
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=part, Body=b"x" * 10)
    return upload
with ThreadPoolExecutor(4) as pool:
    answer(list(pool.map(make, range(count))))

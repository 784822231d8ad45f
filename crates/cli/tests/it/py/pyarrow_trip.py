# pyarrow, which is the AWS SDK for C++: upload, multipart, list, read back, delete in batches.
import concurrent.futures, hashlib, json, os, sys
from pyarrow import fs
endpoint, bucket, path = sys.argv[1:]
s3 = fs.S3FileSystem(access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
                     endpoint_override=endpoint, scheme="http", region="us-east-1", allow_delayed_open=True)
odd = ["emoji \U0001f600", "plus+sign", "ü-ä", "a<b>&\"c'"]
keys = odd + [f"{n:04}" for n in range(1100 - len(odd))]
def put(key):
    with s3.open_output_stream(f"{bucket}/many/{key}") as out:
        out.write(key.encode())
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    list(pool.map(put, keys))
with open(path, "rb") as file, s3.open_output_stream(f"{bucket}/large") as out:
    while block := file.read(1 << 20):
        out.write(block)
found = s3.get_file_info(fs.FileSelector(f"{bucket}/many", recursive=True))
listed = [entry.base_name for entry in found if entry.is_file]
with s3.open_input_stream(f"{bucket}/large") as file:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
small = [s3.open_input_stream(f"{bucket}/many/{key}").read().decode() for key in odd]
s3.delete_dir_contents(f"{bucket}/many")
s3.delete_file(f"{bucket}/large")
left = [entry.path for entry in s3.get_file_info(fs.FileSelector(bucket, recursive=True)) if entry.is_file]
print(json.dumps({"all_listed": sorted(listed) == sorted(keys), "sha256": digest.hexdigest(), "small": small == odd,
                  "left": left}))

# minio-py: upload, multipart, list, read back, delete in batches.
import concurrent.futures, hashlib, io, json, os, sys
from minio import Minio
from minio.deleteobjects import DeleteObject
endpoint, bucket, path = sys.argv[1:]
client = Minio(endpoint.removeprefix("http://"), access_key=os.environ["AWS_ACCESS_KEY_ID"],
               secret_key=os.environ["AWS_SECRET_ACCESS_KEY"], region="us-east-1", secure=False)
odd = ["emoji \U0001f600", "plus+sign", "ü/ä", "a<b>&\"c'"]
keys = odd + [f"many/{n:04}" for n in range(1100 - len(odd))]
def put(key):
    client.put_object(bucket, key, io.BytesIO(key.encode()), len(key.encode()), metadata={"name": "value"})
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    list(pool.map(put, keys))
client.fput_object(bucket, "large", path, part_size=5 * 1024 * 1024)
listed = [entry.object_name for entry in client.list_objects(bucket, recursive=True)]
with client.get_object(bucket, "large") as answer:
    digest = hashlib.file_digest(answer, "sha256").hexdigest()
small = [client.get_object(bucket, key).read().decode() for key in odd]
parts = client.stat_object(bucket, "large").etag.partition("-")[2]
errors = list(client.remove_objects(bucket, [DeleteObject(key) for key in listed]))
left = [entry.object_name for entry in client.list_objects(bucket, recursive=True)]
print(json.dumps({
    "all_listed": sorted(listed) == sorted(keys + ["large"]),
    "sha256": digest, "small": small == odd, "parts": int(parts), "errors": [str(error) for error in errors], "left": left,
}))

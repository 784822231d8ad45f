# Fills the disk of the server with parts; `free` is asked of the file system as the server sees it.
bucket, disk = args
def free():
    told = os.statvfs(disk)
    return told.f_bavail * told.f_frsize
before = os.urandom(8 << 20)
s3.put_object(Bucket=bucket, Key="before", Body=before)
upload = s3.create_multipart_upload(Bucket=bucket, Key="upload")["UploadId"]
part = os.urandom(8 << 20)
taken, refused = [], None
while refused is None:
    left = free()
    try:
        taken.append(s3.upload_part(
            Bucket=bucket, Key="upload", UploadId=upload, PartNumber=len(taken) + 1, Body=part)["ETag"])
    except botocore.exceptions.ClientError as error:
        refused = error.response
after_refusal = free()
listed = s3.list_parts(Bucket=bucket, Key="upload", UploadId=upload)["Parts"]
read = s3.get_object(Bucket=bucket, Key="before")["Body"].read()
# The part that was sent again before there was room, and what was there is still all there.
try:
    s3.put_object(Bucket=bucket, Key="more", Body=part)
    again = 200
except botocore.exceptions.ClientError as error:
    again = error.response["ResponseMetadata"]["HTTPStatusCode"]
s3.abort_multipart_upload(Bucket=bucket, Key="upload", UploadId=upload)
s3.put_object(Bucket=bucket, Key="after", Body=part * 3)
after = s3.get_object(Bucket=bucket, Key="after")["Body"].read()
answer({
    "status": refused["ResponseMetadata"]["HTTPStatusCode"],
    "code": refused["Error"]["Code"],
    "taken": len(taken),
    "listed_are_taken": [part["ETag"] for part in listed] == taken,
    "lost_bytes": left - after_refusal,
    "before_is_intact": read == before,
    "again": again,
    "after_is_intact": after == part * 3,
})

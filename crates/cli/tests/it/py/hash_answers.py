# What the store and hashlib call the file: its ETags, and the checksum of each type.
import base64
bucket, path, part_size = args[0], args[1], int(args[2])
body = open(path, "rb").read()
parts = [body[at:at + part_size] for at in range(0, len(body), part_size)]
answers = {"md5": hashlib.md5(body).hexdigest()}
def header(algorithm):
    return "Checksum" + algorithm
def of(algorithm, head):
    return head.get(header(algorithm))
def hashed(algorithm, data):
    return base64.b64encode(hashlib.new(algorithm.lower(), data).digest()).decode()
answers["openssl"] = {name: hashed(name, body) for name in ("SHA1", "SHA256")}
for algorithm, kind in [("CRC32", "FULL_OBJECT"), ("CRC32", "COMPOSITE"), ("SHA256", "COMPOSITE"), ("SHA1", "COMPOSITE")]:
    key = f"{algorithm}-{kind}"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)["UploadId"]
    listed = []
    for number, part in enumerate(parts, 1):
        # boto3 computes the checksum itself.
        sent = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm=algorithm)
        listed.append({"PartNumber": number, "ETag": sent["ETag"], header(algorithm): of(algorithm, sent)})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": listed})
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    answers[key] = of(algorithm, head)
    answers["etag"] = head["ETag"].strip('"')
answer(answers)

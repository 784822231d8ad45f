# The numbers of the parts that unfinished uploads of a key have.
uploads = s3.list_multipart_uploads(Bucket=args[0]).get("Uploads", [])
numbers = []
for upload in uploads:
    if upload["Key"] != args[1]:
        continue
    pages = s3.get_paginator("list_parts").paginate(Bucket=args[0], Key=args[1], UploadId=upload["UploadId"])
    numbers += [part["PartNumber"] for page in pages for part in page.get("Parts", [])]
answer(numbers)

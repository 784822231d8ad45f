# Without a delimiter: RGW 16.2 loses uploads with one.
pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=args[0])
answer([upload["Key"] for page in pages for upload in page.get("Uploads", [])])

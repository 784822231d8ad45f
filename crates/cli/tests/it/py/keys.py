pages = s3.get_paginator("list_objects_v2").paginate(Bucket=args[0])
answer([found["Key"] for page in pages for found in page.get("Contents", [])])

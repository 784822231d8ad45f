# An object with everything that a store keeps beside its bytes.
s3.put_object(Bucket=args[0], Key=args[1], Body=b"described", ContentType="text/plain", CacheControl="no-cache",
              ContentLanguage="de", Metadata={"owner": "me"}, Tagging="team=films&year=2026", ChecksumAlgorithm="SHA256")
answer(True)

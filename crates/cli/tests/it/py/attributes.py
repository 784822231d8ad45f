# The attributes of an object, as boto3 reads them: bucket, key.
head = s3.head_object(Bucket=args[0], Key=args[1])
shown = {}
for name in (
    'ContentType', 'ContentLanguage', 'ContentEncoding', 'ContentDisposition', 'CacheControl',
    'WebsiteRedirectLocation', 'StorageClass', 'ServerSideEncryption', 'SSEKMSKeyId',
    'BucketKeyEnabled', 'ObjectLockMode', 'ObjectLockLegalHoldStatus', 'Metadata',
):
    shown[name] = head.get(name)
headers = head['ResponseMetadata']['HTTPHeaders']
shown['Expires'] = headers.get('expires')
until = head.get('ObjectLockRetainUntilDate')
shown['ObjectLockRetainUntilDate'] = until and until.strftime('%Y-%m-%dT%H:%M:%SZ')
tags = s3.get_object_tagging(Bucket=args[0], Key=args[1]).get('TagSet', [])
shown['Tags'] = {tag['Key']: tag['Value'] for tag in tags}
grants = s3.get_object_acl(Bucket=args[0], Key=args[1])['Grants']
shown['Grants'] = [
    [grant['Permission'], grant['Grantee'].get('URI') or 'user'] for grant in grants
]
answer(shown)

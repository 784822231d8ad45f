# Talked to line by line: `load ROUND` writes from several threads until the server is gone, a line `ack` for every answer,
# then `gone`; `check` holds what the server has against what it acknowledged here, and says `right COUNT` or what is wrong.
import random, threading

BUCKET = args[0]
BLOCK = os.urandom(5 << 20)
# Everything sent so far. What is sent is noted before, what was answered after.
objects, uploads = [], []
lock = threading.Lock()


def say(word):
    with lock:
        print(word, flush=True)


def body_of(size):
    return os.urandom(16) + BLOCK[: size - 16]


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def put_objects(name):
    for number in range(100_000):
        body = body_of(random.randint(16, 300_000))
        item = {"key": f"put/{name}-{number}", "sha256": sha256(body), "there": "perhaps"}
        objects.append(item)
        s3.put_object(Bucket=BUCKET, Key=item["key"], Body=body)
        item["there"] = "yes"
        say("ack")


def upload_parts(name):
    for number in range(100_000):
        key = f"parts/{name}-{number}"
        upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        bodies = [body_of(5 << 20), body_of(random.randint(16, 300_000))]
        upload = {"key": key, "id": upload_id, "open": "yes", "parts": {}, "sha256": sha256(b"".join(bodies))}
        uploads.append(upload)
        for at, body in enumerate(bodies, 1):
            upload["parts"][at] = s3.upload_part(
                Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=at, Body=body)["ETag"]
            say("ack")
        if number % 3 == 2:
            continue
        upload["open"] = "perhaps"
        parts = [{"PartNumber": at, "ETag": etag} for at, etag in upload["parts"].items()]
        s3.complete_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
        upload["open"] = "no"
        objects.append({"key": key, "sha256": upload["sha256"], "there": "yes"})
        say("ack")


def delete_objects(victims):
    for item in victims:
        item["there"] = "perhaps"
        s3.delete_object(Bucket=BUCKET, Key=item["key"])
        item["there"] = "no"
        say("ack")


def until_gone(work, *arguments):
    try:
        work(*arguments)
    # No connection, or none any more. An answer that is an error is no part of being killed.
    except botocore.exceptions.BotoCoreError:
        pass
    except botocore.exceptions.ClientError as error:
        say(f"refused: {error}")


def load(name):
    victims = [item for item in objects if item["there"] == "yes" and item["key"].startswith("parts/")]
    work = [(put_objects, f"{name}-{n}") for n in range(3)] + [(upload_parts, f"{name}-{n}") for n in range(2)]
    work.append((delete_objects, victims))
    threads = [threading.Thread(target=until_gone, args=it) for it in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def found(key):
    try:
        return sha256(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def wrong():
    # Deletes that were answered are not looked at twice; the list below would show what came back.
    for item in objects:
        if item["there"] == "no":
            continue
        digest = found(item["key"])
        if digest not in ((item["sha256"],) if item["there"] == "yes" else (item["sha256"], None)):
            yield f"{item['key']} ({item['there']}) is {digest}, sent was {item['sha256']}"
        item["there"] = "no" if digest is None else "yes"
    for upload in uploads:
        if upload["open"] == "no":
            continue
        try:
            listed = s3.list_parts(Bucket=BUCKET, Key=upload["key"], UploadId=upload["id"])
            listed = {part["PartNumber"]: part["ETag"] for part in listed.get("Parts", [])}
            missing = {at: etag for at, etag in upload["parts"].items() if listed.get(at) != etag}
            if missing:
                yield f"{upload['key']}: {missing} were answered, listed are {listed}"
            upload["open"] = "yes"
        except s3.exceptions.NoSuchUpload:
            if upload["open"] == "yes" or found(upload["key"]) != upload["sha256"]:
                yield f"the upload of {upload['key']} ({upload['open']}) is gone"
            upload["open"] = "no"
            objects.append({"key": upload["key"], "sha256": upload["sha256"], "there": "yes"})
    expected = {item["key"] for item in objects if item["there"] == "yes"}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    listed = [it["Key"] for page in pages for it in page.get("Contents", []) if not it["Key"].startswith("haul/")]
    if set(listed) != expected or len(listed) != len(expected):
        yield f"listed and not expected, or the other way round: {set(listed) ^ expected}"


for line in sys.stdin:
    command, *name = line.split()
    if command == "load":
        load(*name)
        say("gone")
    else:
        say(next(wrong(), f"right {len(objects)}"))

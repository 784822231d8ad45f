"""Transfers by obstore, which is Rust's object_store, for the client benchmark.

obstore_copy.py upload|upload-folder|stdin|download|copy PATH BUCKET KEY [PART-BYTES CONCURRENCY]

PATH is a file, a folder, or for copies the key of the source.
"""

import asyncio
import os
import sys
from pathlib import Path

import obstore
from obstore.store import S3Store

# How many files are sent at a time: obstore has no call that sends a folder, and so no default.
FILES_IN_FLIGHT = 16

what, path, bucket, key, *settings = sys.argv[1:]
endpoint, authority = os.environ["BENCH_ENDPOINT"], os.environ.get("AWS_CA_BUNDLE")
options = {"allow_http": True}
if authority:
    options["root_certificate"] = Path(authority).read_bytes()
store = S3Store(
    bucket, endpoint=endpoint, virtual_hosted_style_request=False, client_options=options
)
effort = {}
if settings:
    part_bytes, concurrency = map(int, settings)
    effort = {"chunk_size": part_bytes, "max_concurrency": concurrency}


async def upload_folder():
    permits = asyncio.Semaphore(FILES_IN_FLIGHT)

    async def upload(name):
        async with permits:
            await obstore.put_async(store, f"{key}/{name.relative_to(path)}", name)

    names = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    await asyncio.gather(*(upload(name) for name in names))


async def download_ranges():
    size = (await obstore.head_async(store, key))["size"]
    permits = asyncio.Semaphore(concurrency)

    async def fetch(file, start):
        async with permits:
            end = min(size, start + part_bytes)
            os.pwrite(file, await obstore.get_range_async(store, key, start=start, end=end), start)

    with open(path, "wb") as file:
        starts = range(0, size, part_bytes)
        await asyncio.gather(*(fetch(file.fileno(), start) for start in starts))


if what == "upload":
    obstore.put(store, key, Path(path), **effort)
elif what == "stdin":
    obstore.put(store, key, iter(lambda: sys.stdin.buffer.read(1 << 20), b""), **effort)
elif what == "upload-folder":
    asyncio.run(upload_folder())
elif what == "copy":
    obstore.copy(store, path, key)
elif settings:
    asyncio.run(download_ranges())
else:
    with open(path, "wb") as file:
        for chunk in obstore.get(store, key).stream():
            file.write(chunk)

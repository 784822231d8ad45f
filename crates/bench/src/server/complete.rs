//! Complete over HTTP, timed by boto3 around that one request: of the parts of a file, and of
//! 10,000 parts that UploadPartCopy makes of one object of 5 MiB, which takes no disk space.

use std::path::Path;

use anyhow::{Context, Result};
use haul_testkit::TestStore;
use haul_testkit::python::Venv;

use super::{BUCKET, LIMIT, PART_BYTES};
use crate::options::Options;

/// Times one Complete over existing parts with boto3: Create, parts, and the clock around Complete.
const COMPLETE: &str = r#"
import time
bucket, path, part_size = args[0], args[1], int(args[2])
upload = s3.create_multipart_upload(Bucket=bucket, Key="complete")["UploadId"]
parts = []
with open(path, "rb") as file:
    while part := file.read(part_size):
        number = len(parts) + 1
        sent = s3.upload_part(Bucket=bucket, Key="complete", UploadId=upload,
                              PartNumber=number, Body=part)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
start = time.perf_counter()
s3.complete_multipart_upload(Bucket=bucket, Key="complete", UploadId=upload,
                             MultipartUpload={"Parts": parts})
seconds = time.perf_counter() - start
s3.delete_object(Bucket=bucket, Key="complete")
answer(seconds)
"#;

/// Times Complete of 10,000 parts, each a copy of one object of 5 MiB; for some rounds.
const COMPLETE_MANY: &str = r#"
import time
from concurrent.futures import ThreadPoolExecutor
bucket, count, rounds = args[0], int(args[1]), int(args[2])
s3.put_object(Bucket=bucket, Key="five", Body=os.urandom(5 << 20))
moments = []
# From the request's first byte to the whole response, without the time that Python takes to write
# 10,000 parts as XML.
for moment in "before-send", "response-received":
    s3.meta.events.register(moment + ".s3.CompleteMultipartUpload",
                            lambda **_: moments.append(time.perf_counter()) or None)
def complete():
    upload = s3.create_multipart_upload(Bucket=bucket, Key="many")["UploadId"]
    def copy(number):
        done = s3.upload_part_copy(Bucket=bucket, Key="many", UploadId=upload, PartNumber=number,
                                   CopySource={"Bucket": bucket, "Key": "five"})
        return {"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]}
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(copy, range(1, count + 1)))
    s3.complete_multipart_upload(Bucket=bucket, Key="many", UploadId=upload,
                                 MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket=bucket, Key="many")["ContentLength"] == count * (5 << 20)
    return moments[-1] - moments[-2]
answer([complete() for _ in range(rounds)])
"#;

const MANY_PARTS: u32 = 10_000;

/// Returns the seconds that Complete of this file takes.
pub(super) fn of_file(options: &Options, store: &TestStore, file: &Path) -> Result<f64> {
    let arguments = [BUCKET, &file.display().to_string(), &PART_BYTES.to_string()];
    let seconds = Venv::at(&options.venv).run(COMPLETE, store, &arguments, LIMIT)?;
    seconds.as_f64().context("no time")
}

/// Returns the seconds that Complete of 10,000 parts takes, in each round.
pub(super) fn of_many_parts(options: &Options, store: &TestStore) -> Result<Vec<f64>> {
    let arguments = [BUCKET, &MANY_PARTS.to_string(), &options.rounds.to_string()];
    let seconds = Venv::at(&options.venv).run(COMPLETE_MANY, store, &arguments, LIMIT)?;
    let seconds = seconds.as_array().context("no times")?;
    seconds.iter().map(|it| it.as_f64().context("no time")).collect()
}

// The AWS SDK for JavaScript v3: upload, multipart, list, read back, delete in batches, and URLs presigned with its defaults, as
// browsers upload with them.
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, endpoint, bucket, path] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const sdk = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");
const client = new sdk.S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const odd = ["emoji \u{1f600}", "plus+sign", "ü/ä", "a<b>&\"c'"];
const keys = odd.concat(Array.from({ length: 1100 - odd.length }, (_, n) => `many/${String(n).padStart(4, "0")}`));
const put = async (Key) => client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key, Body: Key, Metadata: { name: "value" } }));
const queue = [...keys];
await Promise.all(Array.from({ length: 16 }, async () => {
  for (let key; (key = queue.pop()) !== undefined;) await put(key);
}));

await new Upload({
  client, partSize: 5 << 20, queueSize: 4, params: { Bucket: bucket, Key: "large", Body: createReadStream(path) },
}).done();
const large = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: "large" }));
const digest = sha256(await large.Body.transformToByteArray());

// Presigned: an object, a part, and a condition, each sent by a client that knows the URL and nothing else.
const sign = (command) => getSignedUrl(client, command, { expiresIn: 60 });
const send = async (url, body, headers) => (await fetch(url, { method: "PUT", body, headers })).status;
const url = await sign(new sdk.PutObjectCommand({ Bucket: bucket, Key: "presigned" }));
const presigned = [url.includes("x-amz-checksum-crc32="), await send(url, "from a browser")];
const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand({ Bucket: bucket, Key: "parts", ChecksumAlgorithm: "CRC64NVME", ChecksumType: "FULL_OBJECT" }));
const half = readFileSync(path).subarray(0, 6 << 20);
const parts = [];
for (const PartNumber of [1, 2]) {
  const part = await sign(new sdk.UploadPartCommand({ Bucket: bucket, Key: "parts", UploadId, PartNumber }));
  const answer = await fetch(part, { method: "PUT", body: half });
  parts.push({ PartNumber, ETag: answer.headers.get("etag") });
  presigned.push(answer.status);
}
await client.send(new sdk.CompleteMultipartUploadCommand({ Bucket: bucket, Key: "parts", UploadId, MultipartUpload: { Parts: parts } }));
const once = await sign(new sdk.PutObjectCommand({ Bucket: bucket, Key: "once", IfNoneMatch: "*" }));
const condition = once.includes("SignedHeaders=host&") ? {} : { "if-none-match": "*" };
const conditions = [await send(once, "first", condition), await send(once, "second", condition)];

const listed = [];
let pages = 0;
for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: bucket })) {
  pages += 1;
  listed.push(...page.Contents.map((entry) => entry.Key));
}
const small = await Promise.all(odd.map(async (Key) => {
  const answer = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key }));
  return (await answer.Body.transformToString()) === Key && answer.Metadata.name === "value";
}));
const errors = [];
for (let at = 0; at < listed.length; at += 1000) {
  const Objects = listed.slice(at, at + 1000).map((Key) => ({ Key }));
  const answer = await client.send(new sdk.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
  errors.push(...(answer.Errors ?? []));
}
const left = await client.send(new sdk.ListObjectsV2Command({ Bucket: bucket }));
const expected = [...keys, "large", "presigned", "parts", "once"].sort();
console.log(JSON.stringify({
  all_listed: JSON.stringify([...listed].sort()) === JSON.stringify(expected), pages, sha256: digest, small,
  parts: Number(large.ETag.split("-")[1]?.replace('"', "")), presigned, conditions, errors, left: left.KeyCount,
}));

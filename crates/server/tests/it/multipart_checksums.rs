//! Checksums of uploads, at Create, at each part, and of the whole object at Complete: they are
//! compared as on AWS.

use haul_parts::{ChecksumAlgorithm, CompositeChecksum};

use crate::fixture::{Fixture, bytes};
use crate::multipart::{MIN, Upload, sum};

#[tokio::test]
async fn full_object_checksums_are_compared_at_complete() {
    for (name, algorithm) in [
        ("CRC64NVME", ChecksumAlgorithm::Crc64Nvme),
        ("CRC32C", ChecksumAlgorithm::Crc32c),
        ("CRC32", ChecksumAlgorithm::Crc32),
    ] {
        let f = Fixture::new().await;
        let created = [("x-amz-checksum-algorithm", name), ("x-amz-checksum-type", "FULL_OBJECT")];
        let upload = Upload::create(&f.client, &created).await;
        let header = algorithm.header_name();
        let data = bytes(1000);
        let value = sum(algorithm, &data).to_base64();
        let etag = upload.part(1, data.clone()).header(header, &value).expect(200).await.etag();
        let complete = || upload.complete(&[(1, &etag, "")]);
        let wrong = sum(algorithm, b"other").to_base64();
        complete()
            .header(header, &wrong)
            .header("x-amz-checksum-type", "FULL_OBJECT")
            .refused(400, "BadDigest")
            .await;
        let refused = complete()
            .header(header, &value)
            .header("x-amz-checksum-type", "COMPOSITE")
            .refused(400, "InvalidRequest")
            .await;
        assert_eq!(
            refused.element("Message").as_deref(),
            Some(
                "The upload was created using the FULL_OBJECT checksum mode. The complete request \
                 must use the same checksum mode."
            )
        );
        // A value without a type has the default type of its algorithm, and does not count for
        // another algorithm.
        let untyped = complete().header(header, &value);
        if algorithm.default_type() != haul_parts::ChecksumType::FullObject {
            let refused = untyped.refused(400, "BadDigest").await;
            let message = format!(
                "The {} you specified did not match the calculated checksum.",
                name.to_lowercase()
            );
            assert_eq!(refused.element("Message"), Some(message));
        }
        let other_algorithm = sum(ChecksumAlgorithm::Sha1, &data).to_base64();
        let other = complete().header("x-amz-checksum-sha1", &other_algorithm);
        other.header("x-amz-checksum-type", "FULL_OBJECT").refused(400, "BadDigest").await;
        let size = data.len().to_string();
        let right = complete().header(header, &value).header("x-amz-checksum-type", "FULL_OBJECT");
        let done = right.header("x-amz-mp-object-size", &size).expect(200).await;
        assert_eq!(done.element(&format!("Checksum{name}")), Some(value));
    }
}

/// Regression: clients send back the checksum from a response, but `value-N` was refused as invalid
/// base64.
#[tokio::test]
async fn a_composite_checksum_at_complete_may_have_a_part_count() {
    let f = Fixture::new().await;
    for (name, algorithm) in [
        ("SHA256", ChecksumAlgorithm::Sha256),
        ("SHA1", ChecksumAlgorithm::Sha1),
        ("CRC32C", ChecksumAlgorithm::Crc32c),
        ("SHA512", ChecksumAlgorithm::Sha512),
        ("XXHASH3", ChecksumAlgorithm::Xxhash3),
        ("XXHASH64", ChecksumAlgorithm::Xxhash64),
        ("XXHASH128", ChecksumAlgorithm::Xxhash128),
        ("MD5", ChecksumAlgorithm::Md5),
    ] {
        let upload = Upload::create(&f.client, &[("x-amz-checksum-algorithm", name)]).await;
        let header = algorithm.kept_header_name();
        let (mut list, mut sums) = (Vec::new(), Vec::new());
        for (number, body) in [(1, bytes(MIN)), (2, bytes(100))] {
            let value = sum(algorithm, &body);
            let part =
                upload.part(number, body).header(header, &value.to_base64()).expect(200).await;
            list.push((
                number,
                part.etag(),
                format!("<Checksum{name}>{}</Checksum{name}>", value.to_base64()),
            ));
            sums.push(value);
        }
        let list: Vec<_> =
            list.iter().map(|(number, etag, sum)| (*number, etag.as_str(), sum.as_str())).collect();
        let composite = CompositeChecksum::from_parts(sums).unwrap();
        let value = composite.checksum().to_base64();
        let complete = |value: &str| upload.complete(&list).header(header, value);
        for count in [1, 3, 10_000] {
            complete(&format!("{value}-{count}")).refused(400, "BadDigest").await;
        }
        let other = sum(algorithm, b"other").to_base64();
        complete(&format!("{other}-2")).refused(400, "BadDigest").await;
        for odd in ["-", "-0", "-+2", "-2-2", "-x", "-99999"] {
            complete(&format!("{value}{odd}")).refused(400, "InvalidRequest").await;
        }
        let full = complete(&format!("{value}-2")).header("x-amz-checksum-type", "FULL_OBJECT");
        full.refused(400, "InvalidRequest").await;
        let listed = upload.list("").expect(200).await.text();
        assert!(list.iter().all(|(_, _, sum)| listed.contains(sum)), "{listed}");
        let done = complete(&format!("{value}-2")).expect(200).await;
        assert_eq!(done.element(&format!("Checksum{name}")), Some(format!("{value}-2")));
        let mode = ("x-amz-checksum-mode", "ENABLED");
        let head = f.client.request("HEAD", "/bkt/k").header(mode.0, mode.1).expect(200).await;
        assert_eq!(head.header(header), Some(format!("{value}-2").as_str()));
        let attributes = f
            .client
            .request("GET", "/bkt/k?attributes")
            .header("x-amz-object-attributes", "Checksum,ObjectParts")
            .expect(200)
            .await;
        let shown = attributes.elements(&format!("Checksum{name}"));
        assert_eq!(shown.len(), 3, "of the object and of each part: {shown:?}");
        assert_eq!(shown[0], value);
    }
    // The form `value-N` does not exist for a whole-object checksum, nor for a part.
    let created = [("x-amz-checksum-algorithm", "CRC32C"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let upload = Upload::create(&f.client, &created).await;
    let value = sum(ChecksumAlgorithm::Crc32c, b"x").to_base64();
    let counted = format!("{value}-1");
    upload
        .part(1, "x")
        .header("x-amz-checksum-crc32c", &counted)
        .refused(400, "InvalidRequest")
        .await;
    let etag = upload.part(1, "x").header("x-amz-checksum-crc32c", &value).expect(200).await.etag();
    let complete = upload.complete(&[(1, &etag, "")]).header("x-amz-checksum-crc32c", &counted);
    complete.refused(400, "InvalidRequest").await;
}

#[tokio::test]
async fn checksum_rules_of_an_upload_are_kept() {
    let f = Fixture::new().await;
    let c = &f.client;
    let create = |algorithm: &str, kind: &str| {
        let request =
            c.request("POST", "/bkt/k?uploads").header("x-amz-checksum-algorithm", algorithm);
        request.header("x-amz-checksum-type", kind)
    };
    let refused = create("SHA256", "FULL_OBJECT").refused(400, "InvalidRequest").await;
    assert_eq!(
        refused.element("Message").as_deref(),
        Some("The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm.")
    );
    create("CRC64NVME", "COMPOSITE").refused(400, "InvalidRequest").await;
    create("MD4", "COMPOSITE").refused(400, "InvalidRequest").await;

    let upload = Upload::create(c, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let crc = sum(ChecksumAlgorithm::Crc32c, b"x").to_base64();
    let refused = upload
        .part(1, "x")
        .header("x-amz-checksum-crc32c", &crc)
        .refused(400, "InvalidRequest")
        .await;
    assert_eq!(
        refused.element("Message").as_deref(),
        Some(
            "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum \
             Type: crc32c"
        )
    );
    upload.part(1, "x").refused(400, "InvalidRequest").await;
    let sha = sum(ChecksumAlgorithm::Sha256, b"x").to_base64();
    let etag = upload.part(1, "x").header("x-amz-checksum-sha256", &sha).expect(200).await.etag();
    let refused = upload.complete(&[(1, &etag, "")]).refused(400, "InvalidRequest").await;
    assert_eq!(
        refused.element("Message").as_deref(),
        Some(
            "The upload was created using a sha256 checksum. The complete request must include the \
             checksum for each part. It was missing for part 1 in the request."
        )
    );
    let other = sum(ChecksumAlgorithm::Sha256, b"y").to_base64();
    let with = |value: &str| format!("<ChecksumSHA256>{value}</ChecksumSHA256>");
    upload.complete(&[(1, &etag, &with(&other))]).refused(400, "InvalidPart").await;
    upload.complete(&[(1, &etag, &with(&sha))]).expect(200).await;
}

/// Without an algorithm at Create the object has a CRC64NVME; a part's checksum of another
/// algorithm is verified, echoed, and not listed. With an algorithm, the parts in a list with
/// checksums must be numbered without a gap.
#[tokio::test]
async fn other_part_checksums_are_echoed_and_gaps_are_refused() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let crc = sum(ChecksumAlgorithm::Crc32c, b"x").to_base64();
    let part = upload.part(1, "x").header("x-amz-checksum-crc32c", &crc).expect(200).await;
    assert_eq!(part.header("x-amz-checksum-crc32c"), Some(crc.as_str()));
    let named = format!("<ChecksumCRC32C>{crc}</ChecksumCRC32C>");
    upload.complete(&[(1, &part.etag(), &named)]).refused(400, "InvalidPart").await;
    // Lists show only checksums of the algorithm that Create named.
    let listed = upload.list("").expect(200).await;
    assert!(!listed.text().contains("Checksum"), "{}", listed.text());
    let uploads = f.client.get("/bkt?uploads").await;
    assert!(!uploads.text().contains("Checksum"), "{}", uploads.text());
    let complete = || upload.complete(&[(1, &part.etag(), "")]);
    for checksum_type in ["FULL_OBJECT", "COMPOSITE"] {
        let refused = complete()
            .header("x-amz-checksum-type", checksum_type)
            .refused(400, "InvalidRequest")
            .await;
        assert_eq!(
            refused.element("Message").as_deref(),
            Some(
                "The upload was created using the null checksum mode. The complete request must \
                 use the same checksum mode."
            )
        );
    }
    let wrong = sum(ChecksumAlgorithm::Crc64Nvme, b"y").to_base64();
    complete().header("x-amz-checksum-crc64nvme", &wrong).refused(400, "BadDigest").await;
    // A value of another algorithm is not compared.
    let done = complete().header("x-amz-checksum-crc32c", "AAAAAA==").expect(200).await;
    let whole = sum(ChecksumAlgorithm::Crc64Nvme, b"x").to_base64();
    assert_eq!(done.element("ChecksumCRC64NVME"), Some(whole));
    assert_eq!(done.element("ChecksumCRC32C"), None);

    let upload = Upload::create(&f.client, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let data = bytes(5 * 1024 * 1024);
    let sha = sum(ChecksumAlgorithm::Sha256, &data).to_base64();
    let mut list = Vec::new();
    for number in [1, 3] {
        let part = upload
            .part(number, data.clone())
            .header("x-amz-checksum-sha256", &sha)
            .expect(200)
            .await;
        list.push((number, part.etag(), format!("<ChecksumSHA256>{sha}</ChecksumSHA256>")));
    }
    let list: Vec<_> =
        list.iter().map(|(number, etag, sum)| (*number, etag.as_str(), sum.as_str())).collect();
    upload.complete(&list).refused(400, "InvalidPartOrder").await;
    upload.complete(&list[..1]).expect(200).await;
}

//! The settings of a bucket: object ownership, public access block, tags, encryption; and its
//! access control list.

use crate::client::Client;
use crate::fixture::Fixture;

fn ownership(name: &str) -> String {
    let rule = format!("<Rule><ObjectOwnership>{name}</ObjectOwnership></Rule>");
    format!("<OwnershipControls>{rule}</OwnershipControls>")
}

fn tagging(pairs: &[(&str, &str)]) -> String {
    let tags = pairs
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
    format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.collect::<String>())
}

async fn shown_tags(c: &Client, target: &str) -> Vec<(String, String)> {
    let shown = c.request("GET", &format!("{target}?tagging")).expect(200).await;
    shown.elements("Key").into_iter().zip(shown.elements("Value")).collect()
}

/// Regression: Terraform and CDK set the ownership of every bucket, but the response was 501, and
/// CreateBucket dropped the setting.
#[tokio::test]
async fn object_ownership_is_kept_and_shown() {
    let f = Fixture::new().await;
    let c = &f.client;
    let shown = async |bucket: &str| {
        let answer = c.request("GET", &format!("/{bucket}?ownershipControls")).expect(200).await;
        answer.elements("ObjectOwnership")
    };
    assert_eq!(shown("bkt").await, ["BucketOwnerEnforced"]);
    c.request("PUT", "/bkt?ownershipControls").body(ownership("ObjectWriter")).expect(200).await;
    assert_eq!(shown("bkt").await, ["ObjectWriter"]);
    let two = ownership("ObjectWriter")
        .replace("</Rule>", "</Rule><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>");
    for wrong in [ownership("Nobody"), ownership(""), two, "<OwnershipControls/>".to_owned()] {
        c.request("PUT", "/bkt?ownershipControls").body(wrong).refused(400, "MalformedXML").await;
    }
    assert_eq!(shown("bkt").await, ["ObjectWriter"]);
    for _ in 0..2 {
        c.request("DELETE", "/bkt?ownershipControls").expect(204).await;
        let gone = c.request("GET", "/bkt?ownershipControls");
        let gone = gone.refused(404, "OwnershipControlsNotFoundError").await;
        assert_eq!(gone.element("BucketName").as_deref(), Some("bkt"));
    }

    let create = |value: &str| c.request("PUT", "/made").header("x-amz-object-ownership", value);
    for wrong in ["RandomValue", ""] {
        let refused = create(wrong).refused(400, "InvalidArgument").await;
        let message = format!("Invalid x-amz-object-ownership header: {wrong}");
        assert_eq!(refused.element("Message"), Some(message));
        assert_eq!(refused.element("ArgumentName").as_deref(), Some("x-amz-object-ownership"));
    }
    create("BucketOwnerPreferred").expect(200).await;
    assert_eq!(shown("made").await, ["BucketOwnerPreferred"]);
    c.request("GET", "/missing?ownershipControls").refused(404, "NoSuchBucket").await;
}

#[tokio::test]
async fn a_public_access_block_is_kept_and_shown() {
    let f = Fixture::new().await;
    let c = &f.client;
    let names =
        ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    let shown = async || {
        let answer = c.request("GET", "/bkt?publicAccessBlock").expect(200).await;
        names.map(|name| answer.element(name).unwrap() == "true")
    };
    assert_eq!(shown().await, [true; 4]);
    let block = |inner: &str| {
        let document =
            format!("<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>");
        c.request("PUT", "/bkt?publicAccessBlock").body(document)
    };
    block("<BlockPublicPolicy>true</BlockPublicPolicy><IgnorePublicAcls>false</IgnorePublicAcls>")
        .expect(200)
        .await;
    assert_eq!(shown().await, [false, false, true, false]);
    block("<BlockPublicPolicy>maybe</BlockPublicPolicy>").refused(400, "MalformedXML").await;
    assert_eq!(shown().await, [false, false, true, false]);
    for _ in 0..2 {
        c.request("DELETE", "/bkt?publicAccessBlock").expect(204).await;
        let gone = c.request("GET", "/bkt?publicAccessBlock");
        gone.refused(404, "NoSuchPublicAccessBlockConfiguration").await;
    }
}

#[tokio::test]
async fn tags_of_a_bucket_are_kept_and_shown() {
    let f = Fixture::new().await;
    let c = &f.client;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    c.request("GET", "/bkt?tagging").refused(404, "NoSuchTagSet").await;
    c.request("PUT", "/bkt?tagging")
        .body(tagging(&[("tag1", "tag 1"), ("tag2", "")]))
        .expect(204)
        .await;
    assert_eq!(shown_tags(c, "/bkt").await, [pair("tag1", "tag 1"), pair("tag2", "")]);
    c.request("PUT", "/bkt?tagging").body(tagging(&[("tag3", "tag3")])).expect(204).await;
    assert_eq!(shown_tags(c, "/bkt").await, [pair("tag3", "tag3")]);
    for (tags, message) in [
        (vec![("Key1", "1"), ("Key1", "2")], "Cannot provide multiple Tags with the same key"),
        (vec![("Key1,Key2", "1")], "The TagKey you have provided is invalid"),
        (vec![("Key1", "Val1,Val2")], "The TagValue you have provided is invalid"),
        (vec![("aws:prefixed", "1")], "System tags cannot be added/updated by requester"),
    ] {
        let refused =
            c.request("PUT", "/bkt?tagging").body(tagging(&tags)).refused(400, "InvalidTag").await;
        assert_eq!(refused.element("Message").as_deref(), Some(message));
        assert_eq!(refused.element("TagKey").as_deref(), Some(tags[0].0));
    }
    let many: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    c.request("PUT", "/bkt?tagging").body(tagging(&many)).refused(400, "BadRequest").await;
    c.request("PUT", "/bkt?tagging").body(tagging(&many[..50])).expect(204).await;
    for _ in 0..2 {
        c.request("DELETE", "/bkt?tagging").expect(204).await;
        c.request("GET", "/bkt?tagging").refused(404, "NoSuchTagSet").await;
    }

    let inner = "<LocationConstraint>eu-west-3</LocationConstraint><Tags><Tag><Key>team</Key>\
        <Value>a&amp;b</Value></Tag></Tags>";
    let create = |inner: &str| {
        let document = format!("<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>");
        c.request("PUT", "/made").body(document)
    };
    // `&` is not allowed in a tag.
    create(inner).refused(400, "InvalidTag").await;
    c.request("HEAD", "/made").expect(404).await;
    create(&inner.replace("&amp;", "+")).expect(200).await;
    assert_eq!(shown_tags(c, "/made").await, [pair("team", "a+b")]);
    create("<Tags><Tag").refused(400, "MalformedXML").await;
}

/// Regression: tools that tear a bucket down delete every possible setting, and stopped at the
/// first 501.
#[tokio::test]
async fn deleting_settings_that_do_not_exist_succeeds() {
    let f = Fixture::new().await;
    let c = &f.client;
    for setting in [
        "cors",
        "encryption",
        "lifecycle",
        "ownershipControls",
        "policy",
        "publicAccessBlock",
        "replication",
        "tagging",
        "website",
    ] {
        c.request("DELETE", &format!("/bkt?{setting}")).expect(204).await;
        c.request("DELETE", &format!("/missing?{setting}")).refused(404, "NoSuchBucket").await;
    }
    c.request("HEAD", "/bkt").expect(200).await;
}

#[tokio::test]
async fn access_control_lists_are_taken_that_leave_all_to_the_owner() {
    let f = Fixture::new().await;
    let c = &f.client;
    c.put("/bkt/k", "x").await;
    let owner = c.request("GET", "/bkt?acl").expect(200).await.element("ID").unwrap();
    let policy = |grantee: &str, permission: &str| {
        let grantee = format!(
            "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:type=\"CanonicalUser\"><ID>{grantee}</ID></Grantee>"
        );
        let grant = format!("<Grant>{grantee}<Permission>{permission}</Permission></Grant>");
        let list = format!("<AccessControlList>{grant}</AccessControlList>");
        format!("<AccessControlPolicy><Owner><ID>{owner}</ID></Owner>{list}</AccessControlPolicy>")
    };
    for target in ["/bkt?acl", "/bkt/k?acl"] {
        let put = || c.request("PUT", target);
        for canned in ["private", "bucket-owner-full-control"] {
            put().header("x-amz-acl", canned).expect(200).await;
        }
        put().header("x-amz-grant-full-control", &format!("id={owner}")).expect(200).await;
        put().body(policy(&owner, "FULL_CONTROL")).expect(200).await;
        let refusals = [
            (put().header("x-amz-acl", "public-read"), "AccessControlListNotSupported"),
            (put().header("x-amz-grant-read", "id=other"), "AccessControlListNotSupported"),
            (put().body(policy("other", "FULL_CONTROL")), "AccessControlListNotSupported"),
            (put().body(policy(&owner, "READ")), "AccessControlListNotSupported"),
            (put().header("x-amz-acl", "bogus"), "InvalidArgument"),
            (put(), "MissingSecurityHeader"),
            (
                put().header("x-amz-acl", "private").body(policy(&owner, "FULL_CONTROL")),
                "UnexpectedContent",
            ),
            (put().body("<AccessControlPolicy></AccessControlPolicy>"), "MalformedACLError"),
        ];
        for (request, code) in refusals {
            request.refused(400, code).await;
        }
        let shown = c.request("GET", target).expect(200).await;
        assert_eq!(shown.elements("Permission"), ["FULL_CONTROL"]);
    }
    c.request("PUT", "/bkt/absent?acl")
        .header("x-amz-acl", "private")
        .refused(404, "NoSuchKey")
        .await;
    c.request("PUT", "/missing?acl")
        .header("x-amz-acl", "private")
        .refused(404, "NoSuchBucket")
        .await;
}

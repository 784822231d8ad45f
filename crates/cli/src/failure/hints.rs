//! Hints for the engine's errors, in terms of the command line.

use std::io;

use haul::journal::JournalError;
use haul::journal::format::FormatError;
use haul::parts::PlanError;
use haul::remote::Operation;
use haul::{Error, StoreError, StoreErrorKind};

/// Returns the hint for an error of the engine.
pub(super) fn of(error: &Error) -> Option<String> {
    Some(match error {
        Error::SourceUnreadable { source, .. } => match source.kind() {
            io::ErrorKind::NotFound => "check the path".into(),
            io::ErrorKind::PermissionDenied => "this user may not read it; check its \
                    permissions"
                .into(),
            _ => return None,
        },
        Error::Plan {
            source: PlanError::ObjectTooLarge { .. } | PlanError::PartsCannotHold { .. },
            ..
        } => "the limit is that of the store profile, which -v names; --store-profile NAME \
                chooses another"
            .into(),
        Error::NotAFile { .. } => "haul cp takes one regular file".into(),
        Error::WrongLength { path, .. } => format!(
            "it may be made up by the kernel while it is read: copy it first (cat {} > COPY), \
                 then send the copy",
            path.display()
        ),
        Error::SourceChangedSince { .. } => {
            "leave out --on-change fail to send only the parts that differ, or abort the upload"
                .into()
        }
        Error::OtherAttribute { attribute: "sse-c-key-file", id, .. } => format!(
            "give the --sse-c-key-file that it was begun with, or restart it after haul abort {id}"
        ),
        Error::OtherAttribute { attribute, id, .. } => {
            format!("leave --{attribute} out to resume it, or restart it after haul abort {id}")
        }
        Error::MetadataName { .. } => "take letters, digits, - and _".into(),
        Error::SourceChanged { .. } => "run the same command again when nothing writes to the \
                file"
            .into(),
        Error::Store { source, .. } => return of_store(source),
        Error::InDoubt { .. } => {
            "run the same command again: with a journal it settles the outcome and continues".into()
        }
        Error::PutInDoubt { .. } => {
            "look at the object before anything relies on it; the same command again writes it \
                 once more"
                .into()
        }
        Error::Paused { id, source, .. } | Error::DownloadPaused { id, source, .. } => {
            let first = source.as_deref().and_then(of).filter(|_| concerns_the_caller(error));
            format!(
                "{}run the same command again, or haul resume {id}; haul abort {id} removes \
                     what is there",
                first.map(|first| format!("{first}; then ")).unwrap_or_default()
            )
        }
        Error::Journal(JournalError::Locked { .. }) => "wait for it, or end it first".into(),
        Error::Journal(JournalError::Format { path, source }) => {
            let newer = matches!(source, FormatError::Version(_) | FormatError::UnknownRecord(_));
            let first = if newer {
                "use the Haul that \
                    wrote it, or "
            } else {
                ""
            };
            format!(
                "{first}remove {}; haul cp --adopt then continues what is at the store",
                path.display()
            )
        }
        Error::Journal(JournalError::NotPrivate { .. }) => {
            "run as its owner, name a folder of this user's with HAUL_STATE_DIR, or use \
                 --no-journal"
                .into()
        }
        Error::Journal(JournalError::Missing { .. }) => "haul uploads lists those that are \
                left"
            .into(),
        Error::Journal(_) => {
            "check the state folder and its free space, or use --no-journal".into()
        }
        Error::UploadGone { .. } => "run the same command again: it sends every part again".into(),
        Error::Unproven { .. } => "leave out --require-proof to accept the store's word".into(),
        Error::LeftBehind { object, upload_id, .. } => format!(
            "abort it when the store lets you: bucket {}, key {}, upload id {upload_id}",
            object.bucket, object.key
        ),
        Error::Corrupt { .. } => {
            "run the same command again; if it fails again, the stored object is damaged".into()
        }
        Error::CorruptObject { .. } => {
            "do not use that object; run the same command again to replace it; if it fails \
                 again, the store is damaged"
                .into()
        }
        Error::BadSetting { hint, .. } => hint.clone(),
        Error::ObjectChanged { .. } => "run the same command again to get the version that is \
                there now"
            .into(),
        Error::CopyOntoItself { .. } => "name another target, or what is to change, such as \
                --content-type or --metadata"
            .into(),
        Error::TargetUnwritable { .. } => "check the folder, its permissions and the free \
                space"
            .into(),
        _ => return None,
    })
}

/// Returns whether the store refused the caller, so that a retry needs other credentials.
fn concerns_the_caller(error: &Error) -> bool {
    match error {
        Error::Store { source, .. } => source.kind.concerns_the_caller(),
        Error::Paused { source: Some(cause), .. }
        | Error::DownloadPaused { source: Some(cause), .. } => concerns_the_caller(cause),
        _ => false,
    }
}

fn is_read(error: &StoreError) -> bool {
    matches!(error.operation, Operation::HeadObject | Operation::GetObject)
}

/// Returns whether a refusal is of the checksum that the request has.
fn is_of_checksum(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let refuses = ["unsupported", "not supported", "not implemented", "unknown", "invalid"];
    message.contains("checksum") && refuses.iter().any(|word| message.contains(word))
}

/// Returns the hint for an error of a store request.
fn of_store(error: &StoreError) -> Option<String> {
    use StoreErrorKind as K;
    if let Some(remedy) = &error.guidance.remedy {
        return Some(remedy.replace(": AWS_CA_BUNDLE", ": --ca-bundle FILE or AWS_CA_BUNDLE"));
    }
    // Cloudflare R2 behind a host name of its own: "All non-trailing parts must have the same
    // length".
    if error.message.contains("parts must have the same length") {
        return Some("send it again with --store-profile r2, which makes equal parts".to_owned());
    }
    let hint = match error.kind {
        K::NoSuchBucket => "create it first: haul mb s3://BUCKET; or check its name and --endpoint",
        K::NoSuchUpload => {
            "the upload was aborted, completed or expired; run the same command again"
        }
        K::NoSuchKey => "list what is there: haul ls s3://BUCKET/PREFIX",
        K::AccessDenied => {
            "the keys in use may not do this here; check the bucket policy, or choose others with \
             --profile"
        }
        K::BadCredentials => {
            "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile with --profile"
        }
        K::ExpiredCredentials => "the session has ended; renew it (for SSO: aws sso login)",
        K::ClockSkew => "this machine's clock differs too much from the store's; set it",
        K::WrongRegion => "the bucket lives in another region; give it with --region",
        K::Throttled => "the store asks for less; lower --concurrency",
        K::Connection => "is the endpoint right and reachable? see --endpoint and AWS_ENDPOINT_URL",
        K::Timeout => "the link or the store stopped moving; run the same command again",
        K::NoCredentials => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile"
        }
        K::Malformed => {
            "is the endpoint the S3 port of the store? a console or a proxy may answer there; see \
             --endpoint"
        }
        K::EntityTooSmall => {
            "the store takes no parts as small as that; choose a larger --part-size"
        }
        K::StorageFull => "free some space at the store, then run the same command again",
        K::ProxyRefused => {
            "check HTTPS_PROXY and HTTP_PROXY; NO_PROXY lists hosts to reach without"
        }
        K::TooLarge => {
            "a proxy before the store limits requests: lower --part-size and \
             --multipart-threshold, or raise \
                 its limit (nginx: client_max_body_size)"
        }
        // AWS: "Checksum algorithm provided is unsupported"; B2: "Unsupported header
        // 'x-amz-checksum-sha512'".
        K::Rejected | K::NotImplemented if is_of_checksum(&error.message) => {
            "this store may not know the checksum; take one that it knows, such as --checksum \
             crc32 or sha256, or --checksum md5, which every store knows"
        }
        // S3 answers 400 to a read without the customer's key, and HEAD has no body to say so.
        _ if error.status == Some(400) && is_read(error) => {
            "if the object is encrypted with a customer's key, name it: --sse-c-key-file FILE"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

//! Reports another unfinished upload of this machine that is related to the running one, with the
//! commands that resume and remove it.

use haul::Event;
use haul::journal::Relation;

use crate::output::visible;
use crate::size::human_size;
use crate::upload_locator::quoted;

/// Formats the report. `source` is the source of the running upload.
pub(crate) fn related(event: &Event, source: &str) -> String {
    let Event::RelatedJournal {
        id,
        relation,
        source: theirs,
        target,
        store,
        size_bytes,
        arrived_bytes,
        running_pid,
    } = event
    else {
        return String::new();
    };
    let (theirs, target) = (visible(theirs), visible(target));
    if let Some(pid) = running_pid {
        return format!(
            "process {pid} is uploading {theirs} to the same key: {target} will be what ends last"
        );
    }
    let percent = u128::from(*arrived_bytes) * 100 / u128::from((*size_bytes).max(1));
    let size = human_size(*size_bytes);
    let upload = format!("an unfinished upload of {theirs} to {target} ({percent} % of {size})");
    let moved = format!("haul resume {id} --source {}", quoted(source));
    match relation {
        Relation::SameKey => {
            format!(
                "{upload} has a journal too: haul resume {id} or haul abort {id}, or its parts stay"
            )
        }
        Relation::SameKeySourceMoved => format!(
            "{upload} is unfinished, and its file is no longer there; if this is that file, Ctrl-C \
             and {moved} sends \
             only the rest; haul abort {id} removes it"
        ),
        Relation::OtherStore => {
            format!(
                "{upload} at {} has a journal too: haul resume {id}, or haul abort {id}",
                visible(store)
            )
        }
        Relation::FileMoved => format!(
            "this file has {upload}, under its old name: {moved} sends the rest of it; haul \
             abort {id} removes it"
        ),
        _ => format!("{upload} has a journal too: {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(relation: Relation, running_pid: Option<u32>) -> String {
        let event = Event::RelatedJournal {
            id: "0e50c57f2f7a".into(),
            relation,
            source: "/data/old.iso".into(),
            target: "s3://bucket/film.iso".into(),
            store: "http://127.0.0.1:8014".into(),
            size_bytes: 4 << 30,
            arrived_bytes: 1 << 30,
            running_pid,
        };
        related(&event, "my films/new.iso")
    }

    #[test]
    fn each_relation_has_its_commands() {
        insta::assert_snapshot!(said(Relation::SameKey, Some(42)), @"process 42 is uploading \
            /data/old.iso to the same key: s3://bucket/film.iso will be what ends last");
        insta::assert_snapshot!(said(Relation::SameKey, None), @"an unfinished upload of \
            /data/old.iso to s3://bucket/film.iso (25 % of 4.0 GiB) has a journal too: haul resume \
            0e50c57f2f7a or haul abort 0e50c57f2f7a, or its parts stay");
        insta::assert_snapshot!(said(Relation::SameKeySourceMoved, None), @"an unfinished upload \
            of /data/old.iso to s3://bucket/film.iso (25 % of 4.0 GiB) is unfinished, and its file \
            is no longer there; if this is that file, Ctrl-C and haul resume 0e50c57f2f7a --source \
            'my films/new.iso' sends only the rest; haul abort 0e50c57f2f7a removes it");
        insta::assert_snapshot!(said(Relation::OtherStore, None), @"an unfinished upload of \
            /data/old.iso to s3://bucket/film.iso (25 % of 4.0 GiB) at http://127.0.0.1:8014 has \
            a journal too: haul resume 0e50c57f2f7a, or haul abort 0e50c57f2f7a");
        insta::assert_snapshot!(said(Relation::FileMoved, None), @"this file has an unfinished \
            upload of /data/old.iso to s3://bucket/film.iso (25 % of 4.0 GiB), under its old \
            name: haul resume 0e50c57f2f7a --source 'my films/new.iso' sends the rest of it; haul \
            abort 0e50c57f2f7a removes it");
    }
}

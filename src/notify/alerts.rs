//! Alerts about triggers that can't start a run, about runs that can't continue, and about certificates that are due. Each lasts until it
//! is over, and can begin again.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    notice::Notice,
    outbox::{Outbox, store},
};
use windlass_runs::{RunsError, now};
use windlass_targets::{Channel, NoticeKind};

/// A trigger that could not start a run.
pub struct FailedStart<'a> {
    /// The name of the workflow's file, as in the trigger's name.
    pub file: &'a str,
    /// The name inside the workflow's file.
    pub workflow: &'a str,
    pub trigger: &'a str,
    pub target: &'a str,
    /// What tells this failure from others of the trigger: the same on all servers, of which one sends the notification.
    pub occasion: String,
    /// Why it did not start.
    pub text: String,
}

/// A trouble that lasts until it is over.
struct Alert {
    key: String,
    /// How often it has begun, this time included.
    round: u32,
}

impl Alert {
    /// Returns the key of the notification: receivers and other servers drop one that they know.
    fn name(&self) -> String {
        match self.round {
            1 => self.key.clone(),
            round => format!("{} {round}", self.key),
        }
    }
}

impl Outbox {
    /// Stores a notification that a trigger could not start a run.
    pub fn start_failed(&self, failed: FailedStart) {
        let FailedStart { file, trigger, .. } = failed;
        let notice = Notice {
            key: format!("trigger {file}/{trigger} {}", failed.occasion),
            kind: NoticeKind::Failed,
            at: now(),
            about: format!("trigger {file}/{trigger}"),
            run: None,
            // The name that runs have: receivers filter by it.
            workflow: Some(failed.workflow.to_owned()),
            target: Some(failed.target.to_owned()),
            step: None,
            title: format!("{file} could not be started by its trigger {trigger}"),
            text: failed.text,
            path: "/triggers".into(),
            resolves: false,
        };
        let alert = Alert {
            key: notice.about.clone(),
            round: 1,
        };
        let notice = notice.cleaned();
        // Ignoring the error is safe: the start is retried, and the trigger shows the error.
        if let Err(error) = self.change(|all| self.begin(all, &alert, &notice)) {
            tracing::error!(%error, "can't store the notification of a failed start");
        }
    }

    /// Ends the alert about a trigger that could not start a run, once it starts one or can start one again.
    pub fn start_made(&self, file: &str, trigger: &str) {
        let key = format!("trigger {file}/{trigger}");
        let ended = self.change(|all| match alert(all, &key)? {
            (_, Some(id)) => self.end(all, &key, id),
            (_, None) => Ok(0),
        });
        // Ignoring the error is safe: a person can close the alert.
        if let Err(error) = ended {
            tracing::error!(%error, "can't end the alert about a trigger");
        }
    }

    /// Stores notifications of all certificates that are due now. One that has been stored is not stored again until its alert has ended.
    /// If `is_whole`, no certificate is missing: the alerts of the others end.
    pub(super) fn are_due(&self, notices: &[Notice], is_whole: bool) -> Result<(), RunsError> {
        self.are_so(&["due", "early"], notices, is_whole)
    }

    /// Stores notifications of all runs that can't continue now, as [`Outbox::are_due`] does of certificates. The alerts of the others end.
    pub(super) fn are_stuck(&self, notices: &[Notice]) -> Result<(), RunsError> {
        self.are_so(&["stuck"], notices, true)
    }

    /// Stores notifications of all troubles of some kinds that there are now. Each kind is the first word of the keys of its alerts.
    fn are_so(&self, kinds: &[&str], notices: &[Notice], is_whole: bool) -> Result<(), RunsError> {
        let kept: BTreeSet<_> = notices.iter().map(|notice| notice.key.as_str()).collect();
        self.change(|all| {
            let mut added = 0;
            if is_whole {
                for (key, id) in open_alerts(all)? {
                    let kind = key.split(' ').next().unwrap_or_default();
                    if kinds.contains(&kind) && !kept.contains(key.as_str()) {
                        added += self.end(all, &key, id)?;
                    }
                }
            }
            for notice in notices {
                let (round, open) = alert(all, &notice.key)?;
                if open.is_some() {
                    continue;
                }
                let alert = Alert {
                    key: notice.key.clone(),
                    round: round + 1,
                };
                let named = Notice {
                    key: alert.name(),
                    ..notice.clone()
                };
                added += self.begin(all, &alert, &named)?;
            }
            Ok(added)
        })
    }

    /// Queues a notification that begins an alert, which [`Outbox::end`] ends. Returns how many receivers get it.
    fn begin(&self, all: &Transaction, alert: &Alert, notice: &Notice) -> Result<usize, RunsError> {
        let wanted = self.wanting(all, notice)?;
        let Some(id) = store(all, notice, &wanted)? else {
            return Ok(0);
        };
        all.execute(
            "INSERT INTO alerts (key, round, notice) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET round = excluded.round, notice = excluded.notice",
            params![alert.key, alert.round, id],
        )?;
        Ok(wanted.len())
    }

    /// Ends an alert that is open, also if nobody has to be told. Returns how many receivers are told: those that keep alerts and got this one.
    fn end(&self, all: &Transaction, key: &str, id: i64) -> Result<usize, RunsError> {
        all.execute("UPDATE alerts SET notice = NULL WHERE key = ?", [key])?;
        let text: Option<String> = all
            .query_row("SELECT notice FROM notices WHERE id = ?", [id], |row| {
                row.get(0)
            })
            .optional()?;
        let notice = text.and_then(|text| serde_json::from_str::<Notice>(&text).ok());
        let Some(notice) = notice else {
            return Ok(0);
        };
        let mut statement =
            all.prepare_cached("SELECT 1 FROM deliveries WHERE receiver = ? AND notice = ?")?;
        let mut told = Vec::new();
        for receiver in self.receivers() {
            let keeps_alerts = matches!(receiver.channel, Channel::Pagerduty(_));
            if keeps_alerts && statement.exists(params![receiver.name, id])? {
                told.push(receiver);
            }
        }
        let over = Notice {
            key: format!("{} ends", notice.key),
            at: now(),
            title: format!("resolved: {}", notice.title),
            text: String::new(),
            resolves: true,
            ..notice
        };
        let id = store(all, &over.cleaned(), &told)?;
        Ok(id.map_or(0, |_| told.len()))
    }
}

/// Returns how often an alert has begun, and its notification if it is open.
fn alert(all: &Transaction, key: &str) -> Result<(u32, Option<i64>), RunsError> {
    let mut statement = all.prepare_cached("SELECT round, notice FROM alerts WHERE key = ?")?;
    let found = statement
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Lists the open alerts, each with its notification.
fn open_alerts(all: &Transaction) -> Result<Vec<(String, i64)>, RunsError> {
    let mut statement =
        all.prepare_cached("SELECT key, notice FROM alerts WHERE notice IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use windlass_ground::Timestamp;

    use super::super::outbox::tests::{notice, receiver};
    use super::*;

    #[test]
    fn the_alerts_of_triggers_and_certificates_end_once() {
        let receivers = vec![receiver("pager", "pagerduty"), receiver("chat", "slack")];
        let database = Connection::open_in_memory().expect("memory");
        let outbox = Outbox::of(database, receivers).expect("opened");
        for (trigger, at) in [("a", 1), ("b", 1), ("a", 2)] {
            outbox.start_failed(FailedStart {
                file: "w",
                workflow: "w",
                trigger,
                target: "local",
                occasion: at.to_string(),
                text: "no".into(),
            });
        }
        let count = |name: &str| {
            let listed = outbox.list(None, None, 100).expect("listed");
            listed.iter().filter(|one| one.receiver == name).count()
        };
        assert_eq!((count("pager"), count("chat")), (3, 3));
        for _ in 0..2 {
            // Both are about the same trouble.
            outbox.start_made("w", "a");
            assert_eq!((count("pager"), count("chat")), (4, 3));
        }
        let due = |name: &str| notice(&format!("due {name}"), NoticeKind::Failed, Some(name));
        let look = |notices: &[Notice], is_whole| {
            outbox.are_due(notices, is_whole).expect("stored");
            (count("pager"), count("chat"))
        };
        let both = [due("one"), due("two")];
        assert_eq!(look(&both, true), (6, 5));
        assert_eq!(look(&both, true), (6, 5), "told once");
        // Not all certificates could be read.
        assert_eq!(look(&both[1..], false), (6, 5));
        for _ in 0..2 {
            assert_eq!(look(&both[1..], true), (7, 5));
        }
        // One that is due again is told again, and ends again.
        for _ in 0..2 {
            assert_eq!(look(&both, true), (8, 6));
        }
        assert_eq!(look(&[], true), (10, 6));
    }

    #[test]
    fn the_alert_of_a_run_ends_when_the_run_continues() {
        let receivers = vec![receiver("pager", "pagerduty"), receiver("chat", "slack")];
        let database = Connection::open_in_memory().expect("memory");
        let outbox = Outbox::of(database, receivers).expect("opened");
        let of = |name: &str| {
            let listed = outbox.list(None, None, 100).expect("listed").into_iter();
            let listed = listed.filter(|one| one.receiver == name);
            let mut titles: Vec<_> = listed.map(|one| one.title).collect();
            titles.sort();
            titles
        };
        let stuck = |since: &str| notice(&format!("stuck r {since}"), NoticeKind::Failed, None);
        let due = [notice("due one", NoticeKind::Failed, Some("one"))];
        for _ in 0..2 {
            // Each kind ends only its own alerts.
            outbox.are_stuck(&[stuck("1")]).expect("stored");
            outbox.are_due(&due, true).expect("stored");
        }
        assert_eq!(of("pager"), ["due one", "stuck r 1"]);
        for _ in 0..2 {
            outbox.are_stuck(&[stuck("2")]).expect("stored");
        }
        assert_eq!(of("chat"), ["due one", "stuck r 1", "stuck r 2"]);
        assert_eq!(
            of("pager"),
            ["due one", "resolved: stuck r 1", "stuck r 1", "stuck r 2"]
        );
    }

    #[test]
    fn an_alert_that_is_open_for_long_ends() {
        let receivers = vec![receiver("pager", "pagerduty")];
        let database = Connection::open_in_memory().expect("memory");
        let outbox = Outbox::of(database, receivers).expect("opened");
        let listed = || outbox.list(None, None, 100).expect("listed");
        let due = [notice("due one", NoticeKind::Failed, Some("one"))];
        outbox.are_due(&due, true).expect("stored");
        let sent = listed()[0].id;
        outbox
            .sent("pager", sent, Timestamp::EPOCH)
            .expect("recorded");
        outbox.prune(now()).expect("pruned");
        assert_eq!(listed().len(), 1, "the alert is open");
        outbox.are_due(&[], true).expect("stored");
        let titles: Vec<_> = listed().into_iter().map(|one| one.title).collect();
        assert_eq!(titles, ["resolved: due one", "due one"]);
        outbox.prune(now()).expect("pruned");
        assert_eq!(listed().len(), 1, "what is over is old");
    }
}

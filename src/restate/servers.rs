use std::{collections::BTreeMap, time::Duration};

use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use windlass_ground::Timestamp;

/// What the servers over one engine share beside the runs: since when they notify, and how far each trigger has been looked at.
pub(super) struct Servers;

const SINCE: &str = "since";
const TRIGGERS: &str = "triggers";

/// How far a trigger has been looked at, whichever server did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerMark {
    /// When it starts its workflow, as it was when it was last looked at.
    pub definition: String,
    /// Up to when what came due has been dealt with.
    pub reached: Timestamp,
    /// Who paused it, and when.
    pub paused: Option<(String, Timestamp)>,
    /// The last start that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<TriggerStart>,
}

/// A start that a trigger made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerStart {
    pub due: Timestamp,
    pub at: Timestamp,
    /// Whether nothing ran when it was due, and it was made up for.
    pub is_late: bool,
    /// `None` where the run is not known any more.
    pub run: Option<String>,
}

/// What changes of a trigger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerChange {
    /// A server looks at it for the first time, or at another definition of it: nothing before this moment is due.
    Begun {
        definition: String,
        at: Timestamp,
    },
    Reached {
        at: Timestamp,
        last: Option<TriggerStart>,
    },
    Paused {
        by: String,
        at: Timestamp,
    },
    /// What came due while it was paused is not made up for.
    Resumed {
        at: Timestamp,
    },
}

#[restate_sdk::object(name = "WindlassServers", client_visibility = "pub(super)")]
impl Servers {
    /// Returns since when servers notify: since the first that asked.
    #[handler]
    async fn since(
        &self,
        ctx: ObjectContext<'_>,
        now: Json<Timestamp>,
    ) -> Result<Json<Timestamp>, HandlerError> {
        if let Some(since) = ctx.get::<Json<Timestamp>>(SINCE).await? {
            return Ok(since);
        }
        let now = now.into_inner();
        ctx.set(SINCE, Json(now));
        Ok(Json(now))
    }

    /// Returns all triggers, by name.
    #[handler]
    async fn triggers(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<BTreeMap<String, TriggerMark>>, HandlerError> {
        let marks = ctx
            .get::<Json<BTreeMap<String, TriggerMark>>>(TRIGGERS)
            .await?;
        Ok(marks.unwrap_or_else(|| Json(BTreeMap::new())))
    }

    /// Changes the trigger of a name.
    #[handler]
    async fn mark(
        &self,
        ctx: ObjectContext<'_>,
        change: Json<(String, TriggerChange)>,
    ) -> Result<(), HandlerError> {
        let Json((name, change)) = change;
        let marks = ctx
            .get::<Json<BTreeMap<String, TriggerMark>>>(TRIGGERS)
            .await?;
        let mut marks = marks.map(Json::into_inner).unwrap_or_default();
        marks.entry(name).or_default().apply(change);
        ctx.set(TRIGGERS, Json(marks));
        Ok(())
    }
}

impl TriggerMark {
    fn apply(&mut self, change: TriggerChange) {
        match change {
            // Several servers may begin at once: the first one counts.
            TriggerChange::Begun { definition, .. } if definition == self.definition => {}
            TriggerChange::Begun { definition, at } => {
                (self.definition, self.reached) = (definition, at);
            }
            TriggerChange::Reached { at, last } => {
                self.reached = self.reached.max(at);
                let at = |start: &Option<TriggerStart>| start.as_ref().map(|start| start.at);
                if at(&last) > at(&self.last) {
                    self.last = last;
                }
            }
            TriggerChange::Paused { by, at } => {
                self.paused.get_or_insert((by, at));
            }
            TriggerChange::Resumed { at } => {
                if self.paused.take().is_some() {
                    self.reached = self.reached.max(at);
                }
            }
        }
    }
}

/// A notice for one receiver, which several servers have: one of them sends it.
pub(super) struct Delivery;

const STATE: &str = "state";
/// How long is remembered that a notice was sent. Older ones count as sent, or else they would be sent again.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Servers' clocks differ.
const FORGOTTEN: Duration = Duration::from_secs(31 * 86_400);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sending {
    /// A server tries to send it, or waits before it tries again; from `until` on another one may.
    Tried {
        by: String,
        until: Timestamp,
    },
    Over,
}

/// A server that wants to send a notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryClaim {
    /// Names the server.
    pub by: String,
    pub at: Timestamp,
    /// How long nobody else may.
    pub until: Timestamp,
    /// When it happened that the notice is about.
    pub happened_at: Timestamp,
}

/// Whether a server may send a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryTurn {
    Yours,
    /// It is another server's until then.
    Theirs {
        until: Timestamp,
    },
    /// It was sent, or given up.
    Over,
}

/// What became of an attempt to send a notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryEnd {
    /// It was sent, or given up.
    Over,
    /// It failed; the next attempt is made then.
    Failed { next_at: Timestamp },
}

#[restate_sdk::object(name = "WindlassDelivery", client_visibility = "pub(super)")]
impl Delivery {
    /// Gives the notice to the server that asks, unless it was sent or is another's.
    #[handler]
    async fn claim(
        &self,
        ctx: ObjectContext<'_>,
        claim: Json<DeliveryClaim>,
    ) -> Result<Json<DeliveryTurn>, HandlerError> {
        let Json(claim) = claim;
        let known = ctx.get::<Json<Sending>>(STATE).await?.map(Json::into_inner);
        let turn = turn(known.as_ref(), &claim);
        if turn == DeliveryTurn::Yours {
            let DeliveryClaim { by, until, .. } = claim;
            ctx.set(STATE, Json(Sending::Tried { by, until }));
        }
        Ok(Json(turn))
    }

    /// Says what became of an attempt.
    #[handler]
    async fn end(
        &self,
        ctx: ObjectContext<'_>,
        end: Json<DeliveryEnd>,
    ) -> Result<(), HandlerError> {
        match end.into_inner() {
            DeliveryEnd::Over => {
                ctx.set(STATE, Json(Sending::Over));
                ctx.object_client::<DeliveryClient>(ctx.key())
                    .forget()
                    .send_after(FORGOTTEN);
            }
            DeliveryEnd::Failed { next_at } => {
                // Any server may try again then.
                let by = String::new();
                ctx.set(STATE, Json(Sending::Tried { by, until: next_at }));
            }
        }
        Ok(())
    }

    #[handler]
    async fn forget(&self, ctx: ObjectContext<'_>) -> Result<(), HandlerError> {
        ctx.clear(STATE);
        Ok(())
    }
}

fn turn(known: Option<&Sending>, claim: &DeliveryClaim) -> DeliveryTurn {
    match known {
        Some(Sending::Over) => DeliveryTurn::Over,
        None if claim.happened_at < claim.at - KEPT => DeliveryTurn::Over,
        Some(Sending::Tried { by, until }) if *by != claim.by && claim.at < *until => {
            DeliveryTurn::Theirs { until: *until }
        }
        _ => DeliveryTurn::Yours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: i64) -> Timestamp {
        Timestamp::from_millis(at)
    }

    #[test]
    fn a_notice_is_one_servers_at_a_time() {
        let claim = |by: &str, at| DeliveryClaim {
            by: by.into(),
            at: ms(at),
            until: ms(at + 10),
            happened_at: ms(at),
        };
        let tried = Sending::Tried {
            by: "a".into(),
            until: ms(10),
        };
        assert_eq!(turn(None, &claim("a", 0)), DeliveryTurn::Yours);
        assert_eq!(turn(Some(&tried), &claim("a", 1)), DeliveryTurn::Yours);
        let theirs = DeliveryTurn::Theirs { until: ms(10) };
        assert_eq!(turn(Some(&tried), &claim("b", 9)), theirs);
        assert_eq!(turn(Some(&tried), &claim("b", 10)), DeliveryTurn::Yours);
        let over = DeliveryTurn::Over;
        assert_eq!(turn(Some(&Sending::Over), &claim("a", 99)), over);
        let old = DeliveryClaim {
            happened_at: ms(0),
            ..claim("a", KEPT.as_millis() as i64 + 1)
        };
        assert_eq!(turn(None, &old), over, "what was sent is forgotten by then");
        assert_eq!(turn(Some(&tried), &old), DeliveryTurn::Yours);
    }

    #[test]
    fn a_trigger_is_looked_at_from_when_the_first_server_saw_it() {
        let mut mark = TriggerMark::default();
        let begun = |definition: &str, at| TriggerChange::Begun {
            definition: definition.into(),
            at: ms(at),
        };
        mark.apply(begun("daily", 10));
        mark.apply(begun("daily", 20));
        assert_eq!(mark.reached, ms(10));
        let start = |at| TriggerStart {
            due: ms(at),
            at: ms(at),
            is_late: false,
            run: None,
        };
        for (at, last) in [(30, Some(start(30))), (25, Some(start(25))), (26, None)] {
            mark.apply(TriggerChange::Reached { at: ms(at), last });
        }
        assert_eq!((mark.reached, &mark.last), (ms(30), &Some(start(30))));
        for by in ["a", "b"] {
            let by = by.to_owned();
            mark.apply(TriggerChange::Paused { by, at: ms(40) });
        }
        assert_eq!(mark.paused, Some(("a".into(), ms(40))));
        mark.apply(begun("hourly", 50));
        assert!(mark.paused.is_some(), "who paused it stays");
        mark.apply(TriggerChange::Resumed { at: ms(60) });
        mark.apply(TriggerChange::Resumed { at: ms(70) });
        assert_eq!((mark.reached, mark.paused), (ms(60), None));
    }
}

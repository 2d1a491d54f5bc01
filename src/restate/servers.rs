use std::{collections::BTreeMap, time::Duration};

use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use windlass_ground::Timestamp;

/// The data that the servers of one Restate share besides the runs: since when they send notifications, and how far each trigger has been checked.
pub(super) struct Servers;

const SINCE: &str = "since";
const TRIGGERS: &str = "triggers";

/// How far a trigger has been checked by any server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerMark {
    /// The trigger's definition when it was last checked.
    pub definition: String,
    /// The time up to which due starts have been handled.
    pub reached: Timestamp,
    /// The person who paused it, and when.
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
    /// Whether it was due while no server ran, and was made later.
    pub is_late: bool,
    /// `None` if the run is no longer known.
    pub run: Option<String>,
}

/// A change of a trigger's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerChange {
    /// A server checks it for the first time, or with a new definition: nothing before this time is due.
    Begun {
        definition: String,
        at: Timestamp,
    },
    Reached {
        at: Timestamp,
        last: Option<TriggerStart>,
    },
    /// What was recorded of times after this one was recorded while a clock was ahead.
    TurnedBack {
        at: Timestamp,
    },
    Paused {
        by: String,
        at: Timestamp,
    },
    /// Starts that were due while it was paused are not made later.
    Resumed {
        at: Timestamp,
    },
}

#[restate_sdk::object(name = "WindlassServers", client_visibility = "pub(super)")]
impl Servers {
    /// Returns the time since which servers send notifications: that of the first request.
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

    /// Updates the trigger with this name.
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
            // Several servers may begin at once: the first one is recorded.
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
            TriggerChange::TurnedBack { at } => {
                self.reached = self.reached.min(at);
                if let Some(last) = &mut self.last {
                    last.at = last.at.min(at);
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

/// A notification for one receiver, which several servers have created: one of them sends it.
pub(super) struct Delivery;

const STATE: &str = "state";
/// How long it is remembered that a notification was sent. Older ones count as sent; otherwise they would be sent again.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Longer than [`KEPT`], because the clocks of servers differ.
const FORGOTTEN: Duration = Duration::from_secs(31 * 86_400);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sending {
    /// A server is trying to send it, or waits for its next attempt; from `until` on, another server may try.
    Tried {
        by: String,
        until: Timestamp,
    },
    Over,
}

/// The request of a server to send a notification.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryClaim {
    /// The name of the server.
    pub by: String,
    pub at: Timestamp,
    /// Until when no other server may send it.
    pub until: Timestamp,
    /// The time of the notification's cause.
    pub happened_at: Timestamp,
}

/// Whether a server may send a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryTurn {
    Yours,
    /// Another server may send it until then.
    Theirs {
        until: Timestamp,
    },
    /// It was sent or given up.
    Over,
}

/// The result of an attempt to send a notification.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryEnd {
    /// It was sent or given up.
    Over,
    /// The attempt failed; the next one is made at this time.
    Failed { next_at: Timestamp },
}

#[restate_sdk::object(name = "WindlassDelivery", client_visibility = "pub(super)")]
impl Delivery {
    /// Lets the calling server send the notification, unless it was sent or another server may send it.
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

    /// Records the result of an attempt.
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
                // From then on, any server may try again.
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
        mark.apply(TriggerChange::TurnedBack { at: ms(28) });
        let at = mark.last.as_ref().map(|last| last.at);
        assert_eq!((mark.reached, at), (ms(28), Some(ms(28))));
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

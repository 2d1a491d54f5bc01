use std::collections::BTreeMap;

use super::OnRestate;
use crate::{
    error::RunsError,
    peers::{Peers, SeenChange, SeenStart, SeenTrigger, SendTurn},
};
use windlass_ground::Timestamp;
use windlass_restate::{
    DeliveryClaim, DeliveryEnd, DeliveryTurn, TriggerChange, TriggerMark, TriggerStart,
};
use windlass_world::value::Digest;

impl Peers for OnRestate {
    fn notifies_since(&self, now: Timestamp) -> Result<Timestamp, RunsError> {
        Ok(self.remote.notifies_since(now)?)
    }

    fn may_send(
        &self,
        delivery: Digest,
        happened_at: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<SendTurn, RunsError> {
        let claim = DeliveryClaim {
            by: self.name.clone(),
            at: now,
            until,
            happened_at,
        };
        Ok(match self.remote.claim_delivery(delivery, &claim)? {
            DeliveryTurn::Yours => SendTurn::Ours,
            DeliveryTurn::Theirs { until } => SendTurn::Theirs { until },
            DeliveryTurn::Over => SendTurn::Over,
        })
    }

    fn is_sent(&self, delivery: Digest) -> Result<(), RunsError> {
        Ok(self.remote.end_delivery(delivery, &DeliveryEnd::Over)?)
    }

    fn not_sent(&self, delivery: Digest, next_at: Timestamp) -> Result<(), RunsError> {
        let end = DeliveryEnd::Failed { next_at };
        Ok(self.remote.end_delivery(delivery, &end)?)
    }

    fn trigger_marks(&self) -> Result<BTreeMap<String, SeenTrigger>, RunsError> {
        let marks = self.remote.triggers()?.into_iter();
        Ok(marks.map(|(name, mark)| (name, mark.into())).collect())
    }

    fn mark_trigger(&self, trigger: &str, change: SeenChange) -> Result<(), RunsError> {
        Ok(self.remote.mark_trigger(trigger, &change.into())?)
    }
}

impl From<TriggerMark> for SeenTrigger {
    fn from(mark: TriggerMark) -> Self {
        Self {
            definition: mark.definition,
            reached: mark.reached,
            paused: mark.paused,
            last: mark.last.map(SeenStart::from),
        }
    }
}

impl From<TriggerStart> for SeenStart {
    fn from(start: TriggerStart) -> Self {
        Self {
            due: start.due,
            at: start.at,
            is_late: start.is_late,
            run: start.run,
        }
    }
}

impl From<SeenChange> for TriggerChange {
    fn from(change: SeenChange) -> Self {
        match change {
            SeenChange::Begun { definition, at } => Self::Begun { definition, at },
            SeenChange::Reached { at, last } => Self::Reached {
                at,
                last: last.map(|start| TriggerStart {
                    due: start.due,
                    at: start.at,
                    is_late: start.is_late,
                    run: start.run,
                }),
            },
            SeenChange::TurnedBack { at } => Self::TurnedBack { at },
            SeenChange::Paused { by, at } => Self::Paused { by, at },
            SeenChange::Resumed { at } => Self::Resumed { at },
        }
    }
}

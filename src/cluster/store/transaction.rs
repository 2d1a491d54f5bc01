use std::cell::RefCell;

use rusqlite::{Connection, OptionalExtension, Row, params, types::FromSql};
use serde_json::Value as Json;
use strum::{EnumString, IntoStaticStr};

use crate::{
    controllers::Changed,
    object::{Moment, controller, items, metadata, name, namespace, uid},
    wire::Failure,
};

/// A transaction. Resources are named as in `kubectl get`: `secrets`, `deployments.apps`.
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    window: u32,
    /// The resources whose changes controllers from other crates receive.
    watched: &'static [&'static str],
    changed: RefCell<Vec<Changed>>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE")]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

impl ChangeKind {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An event of a watch.
pub(crate) struct Change {
    pub version: u64,
    pub kind: ChangeKind,
    pub object: Json,
    /// The object before the change: a watch with a selector needs it to see objects leave and enter the selection.
    pub before: Option<Json>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        window: u32,
        watched: &'static [&'static str],
    ) -> Self {
        Self {
            connection,
            window,
            watched,
            changed: RefCell::default(),
        }
    }

    /// Takes the changes of watched resources since the last call, oldest first.
    pub fn take_changed(&self) -> Vec<Changed> {
        self.changed.take()
    }

    pub fn get(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Json>, Failure> {
        let sql = "SELECT json FROM object WHERE resource = ?1 AND namespace = ?2 AND name = ?3";
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row((resource, namespace, name), json)
            .optional()?;
        Ok(found)
    }

    /// Returns all objects of a resource, ordered by namespace and name.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Result<Vec<Json>, Failure> {
        let sql = "SELECT json FROM object WHERE resource = ?1 AND (?2 IS NULL OR namespace = ?2)
                   ORDER BY namespace, name";
        self.all(sql, (resource, namespace))
    }

    /// Returns the objects of one resource that an object controls.
    pub fn owned(&self, resource: &str, owner: &str) -> Result<Vec<Json>, Failure> {
        let sql = "SELECT json FROM object WHERE owner = ?1 AND resource = ?2
                   ORDER BY namespace, name";
        self.all(sql, (owner, resource))
    }

    /// Returns the objects of one resource that no object controls and that a controller may adopt: pods, ReplicaSets and
    /// ControllerRevisions.
    pub fn orphans(&self, resource: &str, namespace: &str) -> Result<Vec<Json>, Failure> {
        // Without the index, this would read all objects of the resource.
        let sql = "SELECT json FROM object INDEXED BY object_orphan
                   WHERE owner IS NULL
                   AND resource IN ('controllerrevisions.apps', 'pods', 'replicasets.apps')
                   AND resource = ?1 AND namespace = ?2";
        self.all(sql, (resource, namespace))
    }

    /// Removes the owner reference from all objects that an object owns.
    pub fn orphan_owned(&self, owner: &str) -> Result<(), Failure> {
        for (resource, mut object) in self.dependents(owner)? {
            if let Some(Json::Array(owners)) = metadata(&mut object).get_mut("ownerReferences") {
                owners.retain(|reference| reference["uid"] != owner);
            }
            self.put(&resource, &mut object)?;
        }
        Ok(())
    }

    /// Returns the objects that an object owns, each with its resource.
    pub fn dependents(&self, owner: &str) -> Result<Vec<(String, Json)>, Failure> {
        let sql = "SELECT resource, json FROM object WHERE owner = ?1
                   UNION ALL
                   SELECT object.resource, object.json FROM dependent
                   JOIN object USING (resource, namespace, name) WHERE dependent.owner = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([owner], |row| {
            Ok((row.get(0)?, parse(row.get::<_, String>(1)?)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns everything in a namespace, each with its resource.
    pub fn contents(&self, namespace: &str) -> Result<Vec<(String, Json)>, Failure> {
        let sql = "SELECT resource, json FROM object WHERE namespace = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([namespace], |row| {
            Ok((row.get(0)?, parse(row.get::<_, String>(1)?)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn all(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Json>, Failure> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, json)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes an object with a new resource version.
    pub fn put(&self, resource: &str, object: &mut Json) -> Result<(), Failure> {
        let before = self.get(resource, namespace(object), name(object))?;
        let version = self.next_version()?;
        metadata(object).insert("resourceVersion".into(), version.to_string().into());
        let sql = "INSERT OR REPLACE INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.connection.prepare_cached(sql)?.execute(params![
            resource,
            namespace(object),
            name(object),
            controller(object),
            uid(object),
            object.to_string()
        ])?;
        self.index_owners(resource, before.as_ref(), Some(object))?;
        let kind = match before {
            Some(_) => ChangeKind::Modified,
            None => ChangeKind::Added,
        };
        self.record(version, resource, kind, object, before.as_ref())
    }

    pub fn remove(&self, resource: &str, object: &Json) -> Result<(), Failure> {
        let mut last = object.clone();
        let version = self.next_version()?;
        metadata(&mut last).insert("resourceVersion".into(), version.to_string().into());
        let key = (resource, namespace(object), name(object));
        for table in ["object", "wake"] {
            let sql =
                format!("DELETE FROM {table} WHERE resource = ?1 AND namespace = ?2 AND name = ?3");
            self.connection.prepare_cached(&sql)?.execute(key)?;
        }
        self.index_owners(resource, Some(object), None)?;
        self.forget_progressed(uid(object))?;
        self.record(version, resource, ChangeKind::Deleted, &last, Some(object))
    }

    /// Records the owners of an object that are not its controller.
    fn index_owners(
        &self,
        resource: &str,
        before: Option<&Json>,
        after: Option<&Json>,
    ) -> Result<(), Failure> {
        let (old, new) = (
            before.map(other_owners).unwrap_or_default(),
            after.map(other_owners).unwrap_or_default(),
        );
        let Some(object) = after.or(before).filter(|_| old != new) else {
            return Ok(());
        };
        let removal = "DELETE FROM dependent
                       WHERE owner = ?1 AND resource = ?2 AND namespace = ?3 AND name = ?4";
        let addition = "INSERT OR IGNORE INTO dependent VALUES (?1, ?2, ?3, ?4)";
        for (sql, owners) in [(removal, old), (addition, new)] {
            for owner in owners {
                let row = (owner, resource, namespace(object), name(object));
                self.connection.prepare_cached(sql)?.execute(row)?;
            }
        }
        Ok(())
    }

    fn record(
        &self,
        version: u64,
        resource: &str,
        kind: ChangeKind,
        object: &Json,
        before: Option<&Json>,
    ) -> Result<(), Failure> {
        if self.watched.contains(&resource) {
            self.changed.borrow_mut().push(Changed {
                resource: resource.to_owned(),
                object: object.clone(),
                is_gone: kind == ChangeKind::Deleted,
            });
        }
        let sql = "INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5)";
        self.connection.prepare_cached(sql)?.execute((
            version,
            resource,
            kind.as_str(),
            object.to_string(),
            before.map(Json::to_string),
        ))?;
        let oldest = version.saturating_sub(self.window.into());
        if version.is_multiple_of(64) && oldest > self.compacted()? {
            self.connection
                .execute("DELETE FROM change WHERE version <= ?1", [oldest])?;
            self.set("compacted", &oldest.to_string())?;
        }
        Ok(())
    }

    fn next_version(&self) -> Result<u64, Failure> {
        let version = self.version()? + 1;
        self.set("version", &version.to_string())?;
        Ok(version)
    }

    /// Returns the resource version of the whole state.
    pub fn version(&self) -> Result<u64, Failure> {
        self.count("version")
    }

    /// Returns the resource version up to which changes have been deleted.
    pub fn compacted(&self) -> Result<u64, Failure> {
        self.count("compacted")
    }

    /// Returns the changes of a resource after a version, oldest first.
    pub fn changes(&self, resource: &str, after: u64) -> Result<Vec<Change>, Failure> {
        let sql =
            "SELECT version, kind, json, before FROM change WHERE version > ?1 AND resource = ?2
                   ORDER BY version";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map((after, resource), |row| {
            let kind: String = row.get(1)?;
            Ok(Change {
                version: row.get(0)?,
                kind: kind.parse().unwrap_or(ChangeKind::Modified),
                object: parse(row.get::<_, String>(2)?)?,
                before: row.get::<_, Option<String>>(3)?.map(parse).transpose()?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Schedules the controller of an object, at this time or earlier if it is already scheduled.
    pub fn wake(&self, resource: &str, object: &Json, at: Moment) -> Result<(), Failure> {
        self.wake_named(resource, namespace(object), name(object), at)
    }

    pub fn wake_named(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        at: Moment,
    ) -> Result<(), Failure> {
        let sql = "INSERT INTO wake VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET at = min(at, excluded.at)";
        self.connection
            .prepare_cached(sql)?
            .execute((resource, namespace, name, at))?;
        Ok(())
    }

    /// Returns what a controller from another crate has stored under a key.
    pub fn kept(&self, key: &str) -> Result<Option<String>, Failure> {
        self.find("SELECT value FROM kept WHERE key = ?1", key)
    }

    pub fn keep(&self, key: &str, value: &str) -> Result<(), Failure> {
        let sql = "INSERT OR REPLACE INTO kept VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute((key, value))?;
        Ok(())
    }

    pub fn forget(&self, key: &str) -> Result<(), Failure> {
        let sql = "DELETE FROM kept WHERE key = ?1";
        self.connection.prepare_cached(sql)?.execute([key])?;
        Ok(())
    }

    pub fn all_kept(&self, prefix: &str) -> Result<Vec<(String, String)>, Failure> {
        let sql = "SELECT key, value FROM kept WHERE key >= ?1 AND key < ?1 || char(1114111) ORDER BY key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn wakes(&self, resource: &str, object: &Json) -> Result<bool, Failure> {
        let sql = "SELECT 1 FROM wake WHERE resource = ?1 AND namespace = ?2 AND name = ?3";
        Ok(self.connection.prepare_cached(sql)?.exists((
            resource,
            namespace(object),
            name(object),
        ))?)
    }

    /// Returns the time of the next scheduled work.
    pub fn next_wake(&self) -> Result<Option<Moment>, Failure> {
        let sql = "SELECT min(at) FROM wake";
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?)
    }

    /// Takes the earliest scheduled work that is due: resource, namespace, name and time.
    pub fn take_due(
        &self,
        now: Moment,
    ) -> Result<Option<(String, String, String, Moment)>, Failure> {
        let sql = "DELETE FROM wake WHERE (resource, namespace, name) =
                   (SELECT resource, namespace, name FROM wake WHERE at <= ?1
                    ORDER BY at, resource, namespace, name LIMIT 1)
                   RETURNING resource, namespace, name, at";
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row([now], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        Ok(found)
    }

    /// Returns when a rollout last made progress.
    pub fn progressed(&self, uid: &str) -> Result<Option<Moment>, Failure> {
        self.find("SELECT at FROM progress WHERE uid = ?1", uid)
    }

    pub fn set_progressed(&self, uid: &str, at: Moment) -> Result<(), Failure> {
        let sql = "INSERT OR REPLACE INTO progress VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute((uid, at))?;
        Ok(())
    }

    pub fn forget_progressed(&self, uid: &str) -> Result<(), Failure> {
        let sql = "DELETE FROM progress WHERE uid = ?1";
        self.connection.prepare_cached(sql)?.execute([uid])?;
        Ok(())
    }

    pub fn setting(&self, name: &str) -> Result<Option<String>, Failure> {
        self.find("SELECT value FROM setting WHERE name = ?1", name)
    }

    pub fn set(&self, name: &str, value: &str) -> Result<(), Failure> {
        let sql = "INSERT OR REPLACE INTO setting VALUES (?1, ?2)";
        self.connection
            .prepare_cached(sql)?
            .execute((name, value))?;
        Ok(())
    }

    /// Returns the only column of the row with a key, if there is one.
    fn find<T: FromSql>(&self, sql: &str, key: &str) -> Result<Option<T>, Failure> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([key], |row| row.get(0));
        Ok(found.optional()?)
    }

    fn count(&self, name: &str) -> Result<u64, Failure> {
        let text = self.setting(name)?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or_default())
    }
}

/// Returns the UIDs of an object's owners but for its controller.
fn other_owners(object: &Json) -> Vec<&str> {
    let controller = controller(object);
    let owners = items(object, "/metadata/ownerReferences").iter();
    owners
        .filter_map(|owner| owner["uid"].as_str())
        .filter(|uid| Some(*uid) != controller)
        .collect()
}

fn json(row: &Row) -> rusqlite::Result<Json> {
    parse(row.get::<_, String>(0)?)
}

fn parse(text: String) -> rusqlite::Result<Json> {
    serde_json::from_str(&text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
    })
}

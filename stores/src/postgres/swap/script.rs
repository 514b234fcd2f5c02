// SPDX-License-Identifier: MIT OR Apache-2.0
//! The statements that put a copy in the place of a table, and those that put the table back.
//!
//! Owns the order: what hangs on the table is taken off, names are exchanged, everything is hung on the name again. Never runs a statement:
//! what it forgets, the portraits find.

use amanat::error::Result;
use postgres::Client;

use super::names::Names;
use crate::postgres::error::failed;
use crate::postgres::table::quote;

/// Statements in their order.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Puts the copy in the place of the table.
    pub(super) forth: Vec<String>,
    /// Puts the table back.
    pub(super) back: Vec<String>,
    /// What remains to be done after the swap, without a lock that anybody waits for.
    pub(super) after: Vec<String>,
}

/// What is put together of the catalogs.
struct Writer<'a> {
    client: &'a mut Client,
    names: &'a Names,
    old: u32,
    copy: u32,
    script: Script,
}

impl Script {
    /// Writes the script for a table and its copy. The search path must be empty.
    pub(super) fn write(client: &mut Client, names: &Names, old: u32, copy: u32) -> Result<Self> {
        let mut writer = Writer { client, names, old, copy, script: Self::default() };
        let renamed = writer.renames()?;
        let keys = writer.texts(FOREIGN_KEYS, old)?;
        let views = writer.texts(VIEWS, old)?;
        let grants = writer.texts(GRANTS, old)?;
        let grantees = writer.texts(GRANTEES, old)?;
        let own = writer.texts(OWN, old)?;
        let sequences = writer.sequences()?;
        let Writer { mut script, .. } = writer;
        for key in &keys {
            script.both(&format!("ALTER TABLE {} DROP CONSTRAINT {}", part(key, 0), part(key, 1)));
        }
        for (object, live, copied, old) in &renamed {
            script.forth.push(rename(names, object, live, old));
            script.forth.push(rename(names, object, copied, live));
            script.back.push(rename(names, object, live, copied));
            script.back.push(rename(names, object, old, live));
        }
        for (forth, back) in sequences {
            script.forth.push(forth);
            script.back.push(back);
        }
        let (live, old, copy) = (names.live(), names.qualified(&names.old()), names.qualified(&names.copy()));
        for grantee in &grantees {
            let columns = part(grantee, 1);
            script.forth.push(format!("REVOKE ALL {columns} ON TABLE {old} FROM {}", part(grantee, 0)));
            script.back.push(format!("REVOKE ALL {columns} ON TABLE {copy} FROM {}", part(grantee, 0)));
        }
        for grant in &grants {
            script.both(&part(grant, 0).replace("%TABLE%", &live));
        }
        script.forth.extend(own.iter().map(|row| part(row, 0).to_owned()));
        views.iter().for_each(|view| script.both(part(view, 0)));
        for key in &keys {
            script.both(part(key, 2));
            if !part(key, 3).is_empty() {
                script.both(part(key, 3));
            }
            script.after.extend(key.get(4).filter(|validate| !validate.is_empty()).cloned());
        }
        Ok(script)
    }

    fn both(&mut self, statement: &str) {
        self.forth.push(statement.to_owned());
        self.back.push(statement.to_owned());
    }

    /// The function that goes back, as a statement that makes it.
    pub(super) fn function(&self, names: &Names) -> String {
        let mut tag = "amanat".to_owned();
        while self.back.iter().any(|statement| statement.contains(&tag)) {
            tag.push('_');
        }
        format!(
            "CREATE FUNCTION {}() RETURNS void LANGUAGE plpgsql SET search_path = '' AS ${tag}$ BEGIN LOCK TABLE {} IN ACCESS EXCLUSIVE MODE; {}; END ${tag}$",
            names.qualified(&names.back()),
            names.live(),
            self.back.join("; "),
        )
    }
}

impl Writer<'_> {
    /// Rows of texts.
    fn texts(&mut self, sql: &str, oid: u32) -> Result<Vec<Vec<String>>> {
        let rows = self.client.query(sql, &[&oid]).map_err(failed)?;
        let text = |row: &postgres::Row, place: usize| {
            row.try_get::<_, Option<String>>(place).map_err(failed).map(Option::unwrap_or_default)
        };
        rows.iter().map(|row| (0..row.len()).map(|place| text(row, place)).collect()).collect()
    }

    /// Kind of object, its name, that of the copy's before and of the old table's after the swap.
    fn renames(&mut self) -> Result<Vec<(String, String, String, String)>> {
        let names = self.names;
        let mut renamed = vec![("TABLE".to_owned(), names.table.clone(), names.copy(), names.old())];
        for (number, index) in self.texts(INDEXES, self.old)?.iter().enumerate() {
            let (copied, old) = (names.part_of_copy('i', number), names.part_of_old('i', number));
            renamed.push(("INDEX".to_owned(), part(index, 0).to_owned(), copied, old));
        }
        for (number, statistics) in self.texts(STATISTICS, self.old)?.iter().enumerate() {
            let (copied, old) = (names.part_of_copy('t', number), names.part_of_old('t', number));
            renamed.push(("STATISTICS".to_owned(), part(statistics, 0).to_owned(), copied, old));
        }
        let old = self.texts(IDENTITIES, self.old)?;
        let copies = self.texts(IDENTITIES, self.copy)?;
        for (number, (sequence, copied)) in old.iter().zip(&copies).enumerate() {
            let old = names.part_of_old('s', number);
            renamed.push((
                "SEQUENCE".to_owned(),
                part(sequence, 0).to_owned(),
                part(copied, 0).to_owned(),
                old,
            ));
        }
        Ok(renamed)
    }

    /// What sequences need after the names were exchanged, and after they were exchanged back.
    fn sequences(&mut self) -> Result<Vec<(String, String)>> {
        let live = self.names.live();
        let mut done = Vec::new();
        let old = self.texts(IDENTITIES, self.old)?;
        let copies = self.texts(IDENTITIES, self.copy)?;
        for (number, (sequence, copied)) in old.iter().zip(&copies).enumerate() {
            let name = self.names.qualified(part(sequence, 0));
            let set = |from: &str| {
                let from = self.names.qualified(from);
                format!("pg_catalog.setval({}, q.last_value, q.is_called) FROM {from} AS q", literal(&name))
            };
            let (forth, back) = (set(&self.names.part_of_old('s', number)), set(part(copied, 0)));
            done.push((format!("SELECT {forth}"), format!("PERFORM {back}")));
            for grant in part(sequence, 1).split('\n').filter(|grant| !grant.is_empty()) {
                done.push((grant.to_owned(), "NULL".to_owned()));
            }
        }
        for sequence in self.texts(OWNED, self.old)? {
            let owned =
                format!("ALTER SEQUENCE {} OWNED BY {live}.{}", part(&sequence, 0), part(&sequence, 1));
            done.push((owned.clone(), owned));
        }
        Ok(done)
    }
}

fn rename(names: &Names, object: &str, from: &str, to: &str) -> String {
    format!("ALTER {object} {} RENAME TO {}", names.qualified(from), quote(to))
}

fn part(row: &[String], place: usize) -> &str {
    row.get(place).map_or("", String::as_str)
}

pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Names of a table's indexes, in the order in which the copy's are built.
pub(super) const INDEXES: &str = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 ORDER BY c.relname";

/// Names of a table's extended statistics.
pub(super) const STATISTICS: &str = "SELECT stxname::text FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid \
     WHERE stxrelid = $1 AND stxnamespace = c.relnamespace ORDER BY stxname";

/// Names of identity sequences in the order of the columns, with the statements of their grants and comments.
const IDENTITIES: &str = "SELECT s.relname::text, concat_ws(E'\\n', \
       (SELECT string_agg(format('GRANT %s ON SEQUENCE %s TO %s%s', x.privilege_type, s.oid::regclass, \
                CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, \
                CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END), E'\\n') FROM aclexplode(s.relacl) x), \
       (SELECT 'COMMENT ON SEQUENCE ' || s.oid::regclass || ' IS ' || replace(quote_literal(obj_description(s.oid, 'pg_class')), E'\\n', ' '))) \
     FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype = 'i' ORDER BY a.attnum";

/// Sequences that belong to a column without being its identity, and the column.
const OWNED: &str = "SELECT s.oid::regclass::text, quote_ident(a.attname) FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype = 'a'";

/// Foreign keys from and to the table: its table, its name, how it is added again, its comment, how it is validated.
const FOREIGN_KEYS: &str = "SELECT conrelid::regclass::text, quote_ident(conname), \
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, \
              regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '') || ' NOT VALID'), \
       'COMMENT ON CONSTRAINT ' || quote_ident(conname) || ' ON ' || conrelid::regclass || ' IS ' || quote_literal(obj_description(oid, 'pg_constraint')), \
       CASE WHEN convalidated THEN format('ALTER TABLE %s VALIDATE CONSTRAINT %I', conrelid::regclass, conname) END \
     FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND (conrelid = $1 OR confrelid = $1) ORDER BY oid";

/// Views that read the table, made again from their own definition: they keep their owner and grants.
const VIEWS: &str = "SELECT DISTINCT format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass, \
       ' WITH (' || (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(v.reloptions) o) || ')', \
       rtrim(pg_get_viewdef(v.oid), ';')) \
     FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class \
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND v.relkind = 'v'";

/// Grants on the table and its columns; `%TABLE%` stands for the table.
const GRANTS: &str = "SELECT format('GRANT %s%s ON TABLE %%TABLE%% TO %s%s', x.privilege_type, ' (' || quote_ident(x.attname) || ')', \
       CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, \
       CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END) \
     FROM (SELECT NULL::name AS attname, y.* FROM pg_class c, LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) y WHERE c.oid = $1 \
           UNION ALL SELECT a.attname, y.* FROM pg_attribute a, LATERAL aclexplode(a.attacl) y WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped) x";

/// Who has rights to the table, its owner aside: on all of it, or on columns.
const GRANTEES: &str = "SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, \
       '(' || quote_ident(x.attname) || ')' \
     FROM pg_class c, LATERAL ( \
       SELECT NULL::name AS attname, y.grantee FROM aclexplode(c.relacl) y \
       UNION ALL SELECT a.attname, y.grantee FROM pg_attribute a, LATERAL aclexplode(a.attacl) y WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) x \
     WHERE c.oid = $1 AND x.grantee <> c.relowner";

/// What only the table itself has: it is made on the copy and stays on the table of before.
const OWN: &str = "SELECT s FROM ( \
     SELECT 1 AS place, tgname::text AS name, pg_get_triggerdef(oid) AS s FROM pg_trigger \
       WHERE tgrelid = $1 AND NOT tgisinternal AND tgname NOT LIKE 'amanat\\_note\\_%' \
     UNION ALL SELECT 2, tgname::text, format('ALTER TABLE %s %s TRIGGER %I', tgrelid::regclass, \
         CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname) FROM pg_trigger \
       WHERE tgrelid = $1 AND NOT tgisinternal AND tgname NOT LIKE 'amanat\\_note\\_%' AND tgenabled <> 'O' \
     UNION ALL SELECT 3, tgname::text, format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, tgrelid::regclass, obj_description(oid, 'pg_trigger')) FROM pg_trigger \
       WHERE tgrelid = $1 AND NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NOT NULL \
     UNION ALL SELECT 4, polname::text, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', polname, polrelid::regclass, \
         CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, \
         CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, \
         (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(polroles) r), \
         ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')') \
       FROM pg_policy WHERE polrelid = $1 \
     UNION ALL SELECT 5, polname::text, format('COMMENT ON POLICY %I ON %s IS %L', polname, polrelid::regclass, obj_description(oid, 'pg_policy')) FROM pg_policy \
       WHERE polrelid = $1 AND obj_description(oid, 'pg_policy') IS NOT NULL \
     UNION ALL SELECT 6, '', 'ALTER TABLE ' || oid::regclass || ' ENABLE ROW LEVEL SECURITY' FROM pg_class WHERE oid = $1 AND relrowsecurity \
     UNION ALL SELECT 7, '', 'ALTER TABLE ' || oid::regclass || ' FORCE ROW LEVEL SECURITY' FROM pg_class WHERE oid = $1 AND relforcerowsecurity \
     UNION ALL SELECT 8, '', 'ALTER TABLE ' || c.oid::regclass || ' REPLICA IDENTITY ' || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' \
         ELSE 'USING INDEX ' || (SELECT quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = $1 AND i.indisreplident) END \
       FROM pg_class c WHERE c.oid = $1 AND c.relreplident <> 'd' \
     UNION ALL SELECT 9, '', 'ALTER TABLE ' || i.indrelid::regclass || ' CLUSTER ON ' || quote_ident(x.relname) \
       FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = $1 AND i.indisclustered \
     UNION ALL SELECT 10, '', format('COMMENT ON TABLE %s IS %L', oid::regclass, obj_description(oid, 'pg_class')) FROM pg_class \
       WHERE oid = $1 AND obj_description(oid, 'pg_class') IS NOT NULL \
     UNION ALL SELECT 11, x.relname::text, format('COMMENT ON INDEX %s IS %L', x.oid::regclass, obj_description(x.oid, 'pg_class')) \
       FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = $1 AND obj_description(x.oid, 'pg_class') IS NOT NULL \
     UNION ALL SELECT 12, conname::text, format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, conrelid::regclass, obj_description(oid, 'pg_constraint')) \
       FROM pg_constraint WHERE conrelid = $1 AND contype IN ('p', 'u', 'x', 't') AND obj_description(oid, 'pg_constraint') IS NOT NULL \
     UNION ALL SELECT 13, attname::text, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', attrelid::regclass, attname, attstattarget) \
       FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0 \
     UNION ALL SELECT 14, attname::text, format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', attrelid::regclass, attname, array_to_string(attoptions, ', ')) \
       FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attoptions IS NOT NULL \
     UNION ALL SELECT 15, x.relname || a.attnum, format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', x.oid::regclass, a.attnum, a.attstattarget) \
       FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = x.oid WHERE i.indrelid = $1 AND a.attstattarget >= 0 \
     ) own ORDER BY place, name";

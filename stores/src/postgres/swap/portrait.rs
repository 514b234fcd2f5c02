// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that the catalogs say of a table, in lines that can be compared.
//!
//! Owns the proof that a table that takes another's place is the same in all but its rows; and the list of what nobody here knows how to move.
//! Never reads a row of the table.

use amanat::error::{Error, Result};
use postgres::Client;

use crate::postgres::error::failed;

/// One thing of a table: its kind, its name, its definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    kind: String,
    name: String,
    text: String,
}

/// All of a table, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Portrait(Vec<Line>);

impl Portrait {
    /// Looks at a table. The search path must be empty, so that every name has its schema.
    pub(super) fn of(client: &mut Client, oid: u32) -> Result<Self> {
        let mut lines = Vec::new();
        for sql in QUERIES {
            for row in client.query(*sql, &[&oid]).map_err(failed)? {
                let text = |place: usize| row.try_get::<_, Option<String>>(place).map_err(failed);
                let part = |place| Ok::<_, Error>(text(place)?.unwrap_or_default());
                lines.push(Line { kind: part(0)?, name: part(1)?, text: part(2)? });
            }
        }
        lines.sort_unstable();
        Ok(Self(lines))
    }

    /// Refuses what nobody here knows how to move.
    pub(super) fn check(&self, told: &str) -> Result<()> {
        let others: Vec<&str> =
            self.0.iter().filter(|line| line.kind == "other").map(|line| line.name.as_str()).collect();
        if others.is_empty() { Ok(()) } else { Err(cannot(told, &others.join("; "))) }
    }

    /// Refuses a table that is not the same as another was.
    pub(super) fn check_same(&self, before: &Self, told: &str) -> Result<()> {
        let missing = before.0.iter().find(|line| !self.0.contains(line));
        let differing = missing.or_else(|| self.0.iter().find(|line| !before.0.contains(line)));
        differing.map_or(Ok(()), |Line { kind, name, .. }| {
            Err(cannot(told, &format!("{kind} {name} would not be the same on the copy as it is")))
        })
    }
}

/// What cannot be done by copy and swap.
pub(super) fn cannot(told: &str, what: &str) -> Error {
    Error::schema(format!(
        "{told} cannot be copied and swapped: {what}; use the live mode, which changes the rows in place"
    ))
}

/// Each takes the table's id and gives kind, name and definition.
const QUERIES: &[&str] = &[
    "SELECT 'table', ''::text, concat_ws(' ', c.relpersistence::text, m.amname, c.reltablespace, c.reloptions, t.reloptions, c.relreplident::text, \
     c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner), quote_nullable(obj_description(c.oid, 'pg_class'))) \
     FROM pg_class c LEFT JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = $1",
    "SELECT 'column', a.attname::text, concat_ws(' ', row_number() OVER (ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attcollation, \
     a.attnotnull, a.attidentity::text, a.attgenerated::text, a.attstorage::text, a.attcompression::text, a.attstattarget, a.attoptions, \
     quote_nullable(pg_get_expr(d.adbin, d.adrelid)), quote_nullable(col_description(a.attrelid, a.attnum))) \
     FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
    // Whether a foreign key was validated is seen to after the swap.
    "SELECT 'constraint', conrelid::regclass || '.' || conname, concat_ws(' ', regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', ''), \
     contype = 'f' OR convalidated, quote_nullable(obj_description(oid, 'pg_constraint'))) \
     FROM pg_constraint WHERE (conrelid = $1 OR confrelid = $1) AND contype <> 't'",
    "SELECT 'index', c.relname::text, concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indimmediate, i.indisclustered, i.indisreplident, \
     c.reltablespace, quote_nullable(obj_description(c.oid, 'pg_class')), \
     (SELECT string_agg(concat_ws('/', a.attnum, a.attstattarget), ',' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid)) \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1",
    "SELECT 'trigger', tgname::text, concat_ws(' ', pg_get_triggerdef(oid), tgenabled::text, quote_nullable(obj_description(oid, 'pg_trigger'))) \
     FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgname NOT LIKE 'amanat\\_note\\_%'",
    "SELECT 'policy', polname::text, concat_ws(' ', polcmd::text, polpermissive, \
     ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r)::text END FROM unnest(polroles) r ORDER BY r), \
     pg_get_expr(polqual, polrelid), '/', pg_get_expr(polwithcheck, polrelid), quote_nullable(obj_description(oid, 'pg_policy'))) \
     FROM pg_policy WHERE polrelid = $1",
    "SELECT 'grant', concat_ws(' ', x.privilege_type, 'to', CASE WHEN x.grantee = 0 THEN 'public' ELSE pg_get_userbyid(x.grantee)::text END), \
     concat_ws(' ', pg_get_userbyid(x.grantor), x.is_grantable) \
     FROM pg_class c, LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x WHERE c.oid = $1",
    "SELECT 'grant', concat_ws(' ', x.privilege_type, 'on', a.attname, 'to', CASE WHEN x.grantee = 0 THEN 'public' ELSE pg_get_userbyid(x.grantee)::text END), \
     concat_ws(' ', pg_get_userbyid(x.grantor), x.is_grantable) \
     FROM pg_attribute a, LATERAL aclexplode(a.attacl) x WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
    "SELECT DISTINCT 'view', v.oid::regclass::text, concat_ws(' ', pg_get_viewdef(v.oid), v.reloptions, v.relacl, pg_get_userbyid(v.relowner)) \
     FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class \
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND v.relkind = 'v'",
    "SELECT 'sequence', s.oid::regclass::text, concat_ws(' ', d.deptype::text, a.attname, format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, \
     q.seqmax, q.seqmin, q.seqcache, q.seqcycle, s.relpersistence::text, quote_nullable(obj_description(s.oid, 'pg_class')), \
     (SELECT string_agg(concat_ws('/', x.grantee, x.grantor, x.privilege_type, x.is_grantable), ',' ORDER BY x.grantee, x.privilege_type) \
      FROM aclexplode(coalesce(s.relacl, acldefault('s', s.relowner))) x)) \
     FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid \
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype IN ('a', 'i')",
    "SELECT 'statistics', stxnamespace::regnamespace || '.' || stxname, concat_ws(' ', pg_get_statisticsobjdef(oid), stxstattarget, \
     pg_get_userbyid(stxowner), quote_nullable(obj_description(oid, 'pg_statistic_ext'))) FROM pg_statistic_ext WHERE stxrelid = $1",
    // What depends on the table, its row type or its sequences, and is none of the above.
    "SELECT DISTINCT 'other', pg_describe_object(d.classid, d.objid, d.objsubid) || ' depends on it', ''::text \
     FROM pg_class t, pg_depend d WHERE t.oid = $1 AND d.deptype <> 'P' AND d.deptype <> 'S' AND ( \
       (d.refclassid = 'pg_class'::regclass AND (d.refobjid = t.oid OR d.refobjid IN (SELECT o.objid FROM pg_depend o WHERE o.refobjid = t.oid \
        AND o.refclassid = 'pg_class'::regclass AND o.classid = 'pg_class'::regclass AND o.deptype IN ('a', 'i') \
        AND o.objid IN (SELECT seqrelid FROM pg_sequence)))) \
       OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT y.oid FROM pg_type y WHERE y.oid = t.reltype \
           UNION ALL SELECT y.typarray FROM pg_type y WHERE y.oid = t.reltype))) \
     AND NOT (d.classid = 'pg_class'::regclass AND (d.objid IN (t.oid, t.reltoastrelid) OR d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = t.oid) \
              OR (d.deptype IN ('a', 'i') AND d.objid IN (SELECT seqrelid FROM pg_sequence)))) \
     AND NOT (d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT e.oid FROM pg_attrdef e JOIN pg_class x ON x.oid = e.adrelid \
              WHERE x.oid = t.oid OR x.relname LIKE 'amanat\\_copy\\_%' OR x.relname LIKE '%\\_amanat\\_old')) \
     AND NOT (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conrelid = t.oid OR confrelid = t.oid)) \
     AND NOT (d.classid = 'pg_trigger'::regclass AND d.objid IN (SELECT oid FROM pg_trigger WHERE tgrelid = t.oid)) \
     AND NOT (d.classid = 'pg_policy'::regclass AND d.objid IN (SELECT oid FROM pg_policy WHERE polrelid = t.oid)) \
     AND NOT (d.classid = 'pg_statistic_ext'::regclass AND d.objid IN (SELECT oid FROM pg_statistic_ext WHERE stxrelid = t.oid)) \
     AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (SELECT y.oid FROM pg_type y WHERE y.oid = t.reltype \
              UNION ALL SELECT y.typarray FROM pg_type y WHERE y.oid = t.reltype)) \
     AND NOT (d.classid = 'pg_rewrite'::regclass AND d.objid IN (SELECT r.oid FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class WHERE v.relkind = 'v'))",
    "SELECT 'other', why, ''::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL ( \
       SELECT 'it is a partition or has partitions' AS why WHERE c.relkind <> 'r' OR c.relispartition \
       UNION ALL SELECT 'it inherits from ' || inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid \
       UNION ALL SELECT 'it is the parent of ' || inhrelid::regclass FROM pg_inherits WHERE inhparent = c.oid \
       UNION ALL SELECT 'it is a table of a type' WHERE c.reloftype <> 0 \
       UNION ALL SELECT 'it is temporary' WHERE c.relpersistence = 't' \
       UNION ALL SELECT 'it has the rule ' || rulename FROM pg_rewrite WHERE ev_class = c.oid \
       UNION ALL SELECT 'publication ' || p.pubname || ' publishes it' FROM pg_publication_tables p WHERE p.schemaname = n.nspname AND p.tablename = c.relname \
       UNION ALL SELECT 'a subscription writes to it' FROM pg_subscription_rel WHERE srrelid = c.oid \
       UNION ALL SELECT pg_describe_object(refclassid, refobjid, 0) || ' owns it' FROM pg_depend \
         WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('e', 'x') \
       UNION ALL SELECT 'it has a security label' WHERE EXISTS (SELECT FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = c.oid) \
     ) reason WHERE c.oid = $1",
    "SELECT 'other', 'its index ' || c.relname || ' is not valid: drop it or build it again', ''::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
     WHERE i.indrelid = $1 AND NOT i.indisvalid",
    "SELECT DISTINCT 'other', 'a right to it was granted by ' || pg_get_userbyid(x.grantor) || ', who is not its owner', ''::text FROM pg_class c, LATERAL ( \
       SELECT * FROM aclexplode(c.relacl) UNION ALL \
       SELECT y.* FROM pg_attribute a, LATERAL aclexplode(a.attacl) y WHERE a.attrelid = c.oid AND a.attnum > 0) x \
     WHERE c.oid = $1 AND x.grantor <> c.relowner",
];

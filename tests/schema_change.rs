// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of a table when its schema changes: from the two schemas alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use amanat::schema::{Schema, SchemaChange, TableSchema};
use amanat::{Kind, Name};

const OLD: &str = r#"
field = [
  { name = "id", mode = "clear" },
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "name", mode = "sealed" },
  { name = "born", mode = "sealed", type = "date" },
  { name = "phone", mode = "clear" },
  { name = "card", mode = "masked" },
]
index = [{ name = "by-cnic", fields = ["cnic"], bits = 40 }]
token = [{ name = "roll", kind = "pairwise", field = "cnic", recipient = "election-commission", epoch = 1, column = "roll" }]
"#;

fn table(fields: &str) -> TableSchema {
    named("people", "[\"id\"]", "text", fields)
}

fn named(name: &str, id: &str, encoding: &str, rest: &str) -> TableSchema {
    let head = "format = \"amanat-schema\"\nversion = 1\n[[table]]";
    let text = format!("{head}\nname = \"{name}\"\nrecord_id = {id}\nencoding = \"{encoding}\"\n{rest}");
    Schema::from_toml(&text).unwrap().tables()[0].clone()
}

fn change(new: &str) -> SchemaChange {
    SchemaChange::between(&table(OLD), &table(new), &[])
}

fn names<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<&'a str> {
    names.into_iter().map(Name::as_str).collect()
}

/// The new schema is the old one but for these replacements; gives the reason of the one refusal.
fn refusal(replaced: &[(&str, &str)]) -> (String, String) {
    let new = replaced.iter().fold(OLD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let change = change(&new);
    let [error] = change.refused() else { panic!("{:?} for {replaced:?}", change.refused()) };
    assert_eq!((error.kind(), change.check().unwrap_err().kind()), (Kind::Schema, Kind::Schema));
    (error.field().map(ToString::to_string).unwrap_or_default(), error.message().to_owned())
}

#[test]
fn a_schema_that_stays_asks_for_nothing() {
    let same = change(OLD);
    same.check().unwrap();
    assert!(same.moved().is_empty() && same.added().is_empty() && same.dropped().is_empty());
    assert!(same.takes_plaintext().is_empty());
    // Padding, family, absence and mask are read from the cells, or are in no cell.
    let other = OLD.replace(
        "{ name = \"name\", mode = \"sealed\" }",
        "{ name = \"name\", mode = \"sealed\", pad = 64, family = \"chacha\", absence = \"visible\" }",
    );
    change(&other).check().unwrap();
}

#[test]
fn added_dropped_and_renamed_fields_are_told_apart() {
    let new = OLD
        .replace("{ name = \"cnic\", mode = \"sealed\", identifier = \"cnic\" }", "{ name = \"national-id\", column = \"national_id\", mode = \"sealed\", identifier = \"cnic\", formerly = \"cnic\" }")
        .replace("{ name = \"name\", mode = \"sealed\" },", "")
        .replace("{ name = \"phone\", mode = \"clear\" }", "{ name = \"phone\", mode = \"sealed\" }, { name = \"mother\", mode = \"sealed\" }")
        .replace("fields = [\"cnic\"]", "fields = [\"national-id\"]")
        .replace("field = \"cnic\"", "field = \"national-id\"");
    let change = change(&new);
    change.check().unwrap();
    let [moved] = change.moved() else { panic!("{change:?}") };
    assert_eq!((moved.former.name().as_str(), moved.field.as_str()), ("cnic", "national-id"));
    assert_eq!(names(change.added()), ["mother"]);
    let [dropped] = change.dropped() else { panic!("{change:?}") };
    assert_eq!((dropped.name.as_str(), dropped.column.as_str()), ("name", "name"));
    assert_eq!(names(change.takes_plaintext()), ["phone"]);
    // What was migrated is as it was: the word may stay in the schema.
    let stays = SchemaChange::between(&table(&new), &table(&new), &[]);
    stays.check().unwrap();
    assert!(stays.moved().is_empty() && stays.dropped().is_empty());
}

#[test]
fn values_may_move_to_another_column_under_the_same_name_and_out_of_a_clear_one() {
    let moved = OLD.replace(
        "{ name = \"name\", mode = \"sealed\" }",
        "{ name = \"name\", mode = \"sealed\", column = \"name_sealed\", formerly = \"name\" }",
    );
    let to_other = change(&moved);
    to_other.check().unwrap();
    assert_eq!((to_other.moved().len(), to_other.dropped().len()), (1, 0));
    let clear = OLD.replace(
        "{ name = \"phone\", mode = \"clear\" }",
        "{ name = \"phone\", mode = \"sealed\", column = \"phone_sealed\", formerly = \"phone\" }",
    );
    let from_clear = change(&clear);
    from_clear.check().unwrap();
    assert_eq!((from_clear.moved().len(), names(from_clear.takes_plaintext())), (1, vec!["phone"]));
}

#[test]
fn what_no_header_shows_is_refused_with_the_remedy() {
    let cnic = "{ name = \"cnic\", mode = \"sealed\", identifier = \"cnic\" }";
    let name = "{ name = \"name\", mode = \"sealed\" }";
    for (replaced, field, remedy) in [
        (
            vec![(
                name,
                "{ name = \"full-name\", column = \"name\", mode = \"sealed\", formerly = \"name\" }",
            )],
            "full-name",
            "a column of its own",
        ),
        (
            vec![(name, "{ name = \"full-name\", column = \"name\", mode = \"sealed\" }")],
            "full-name",
            "formerly = \"name\"",
        ),
        (
            vec![(name, "{ name = \"name\", column = \"other\", mode = \"sealed\" }")],
            "name",
            "rename the column in the database",
        ),
        (
            vec![(name, "{ name = \"name\", mode = \"sealed\", type = \"bytes\" }")],
            "name",
            "under a new name",
        ),
        (
            vec![(name, "{ name = \"name2\", mode = \"sealed\", type = \"bytes\", formerly = \"name\" }")],
            "name2",
            "under a new name",
        ),
        (vec![(name, "{ name = \"name\", mode = \"clear\" }")], "name", "would stay readable"),
        (vec![(name, "{ name = \"name\", mode = \"masked\" }")], "name", "would stay readable"),
        (
            vec![("{ name = \"card\", mode = \"masked\" }", "{ name = \"card\", mode = \"sealed\" }")],
            "card",
            "its values are gone",
        ),
        (
            vec![(
                "{ name = \"card\", mode = \"masked\" }",
                "{ name = \"card2\", mode = \"sealed\", formerly = \"card\" }",
            )],
            "card2",
            "its values are gone",
        ),
        (vec![(name, "{ name = \"x\", mode = \"sealed\", formerly = \"nobody\" }")], "x", "no such field"),
        (
            vec![
                (name, "{ name = \"x\", column = \"roll_2\", mode = \"sealed\" }"),
                ("column = \"roll\"", "column = \"x\""),
            ],
            "roll",
            "rename the column",
        ),
        (
            vec![(
                "{ name = \"id\", mode = \"clear\" },",
                "{ name = \"who\", mode = \"sealed\", formerly = \"id\" },",
            )],
            "who",
            "part of the record id",
        ),
        (vec![("bits = 40", "bits = 48")], "by-cnic", "a column of its own"),
        (
            vec![("fields = [\"cnic\"]", "fields = [\"name\"], forms = [\"urdu-name/v1\"]")],
            "by-cnic",
            "--remake",
        ),
        (
            vec![("name = \"by-cnic\"", "name = \"by-number\", column = \"by-cnic\"")],
            "by-number",
            "a column of its own",
        ),
        (
            vec![("field = \"cnic\"", "field = \"name\", form = \"urdu-name/v1\"")],
            "roll",
            "defined otherwise",
        ),
        (
            vec![
                (
                    cnic,
                    "{ name = \"cnic\", mode = \"sealed\", identifier = \"cnic\" }, { name = \"number\", column = \"by-cnic\", mode = \"sealed\" }",
                ),
                ("name = \"by-cnic\"", "name = \"by-cnic\", column = \"elsewhere\""),
            ],
            "number",
            "terms or tokens",
        ),
    ] {
        if replaced[0].0 == cnic {
            // Two faults: the column of the index, and that of the field.
            let new = replaced.iter().fold(OLD.to_owned(), |text, (from, to)| text.replace(from, to));
            let told = change(&new).check().unwrap_err();
            assert!(told.message().contains(remedy) && told.message().contains(field), "{told}");
            continue;
        }
        let (of, why) = refusal(&replaced);
        assert_eq!(of, field, "{why}");
        assert!(why.contains(remedy), "{why}");
    }
}

#[test]
fn a_changed_index_may_be_made_anew_and_a_shorter_one_needs_no_leave() {
    let longer = OLD.replace("bits = 40", "bits = 48");
    let remade = [Name::new("by-cnic").unwrap()];
    SchemaChange::between(&table(OLD), &table(&longer), &remade).check().unwrap();
    change(&OLD.replace("bits = 40", "bits = 32")).check().unwrap();
    let beside =
        OLD.replace("bits = 40 }", "bits = 40 }, { name = \"by-cnic-2\", fields = [\"cnic\"], bits = 48 }");
    let beside = change(&beside);
    beside.check().unwrap();
    assert_eq!(names(beside.added()), ["by-cnic-2"]);
    let without =
        change(&OLD.replace("index = [{ name = \"by-cnic\", fields = [\"cnic\"], bits = 40 }]", ""));
    assert_eq!(without.dropped()[0].name.as_str(), "by-cnic");
}

#[test]
fn what_is_in_every_key_or_seal_cannot_change() {
    let fields = "field = [{ name = \"name\", mode = \"sealed\" }]";
    let old = table(fields);
    for (new, why) in [
        (named("citizens", "[\"id\"]", "text", fields), "every field key"),
        (named("people", "[\"id\", \"part\"]", "text", fields), "seal of every value"),
        (named("people", "[\"id\"]", "binary", fields), "`encoding`"),
    ] {
        let told = SchemaChange::between(&old, &new, &[]).check().unwrap_err();
        assert!(told.message().contains(why), "{told}");
    }
}

#[test]
fn the_word_formerly_is_read_written_and_refused_where_it_means_nothing() {
    let read = |field: &str| {
        let head =
            "format = \"amanat-schema\"\nversion = 1\n[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\n";
        Schema::from_toml(&format!("{head}field = [{field}]"))
    };
    let schema = read("{ name = \"a\", mode = \"sealed\", formerly = \"b\" }").unwrap();
    assert!(schema.to_toml().unwrap().contains("formerly = \"b\""));
    assert_eq!(Schema::from_toml(&schema.to_toml().unwrap()).unwrap(), schema);
    for (wrong, why) in [
        ("{ name = \"a\", mode = \"clear\", formerly = \"b\" }", "belong to sealed fields"),
        ("{ name = \"a\", mode = \"sealed\", formerly = \"B c\" }", "name"),
        (
            "{ name = \"a\", mode = \"sealed\", formerly = \"b\" }, { name = \"b\", mode = \"sealed\" }",
            "still there",
        ),
        (
            "{ name = \"a\", mode = \"sealed\", formerly = \"c\" }, { name = \"b\", mode = \"sealed\", formerly = \"c\" }",
            "two fields",
        ),
    ] {
        let told = read(wrong).unwrap_err();
        assert!(told.message().contains(why), "{told}");
    }
}

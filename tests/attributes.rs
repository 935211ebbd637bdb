//! The attributes of objects, as clients read and change them.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::kms::rights::Rights;
use support::requests::{
    Kms, active, boolean, create, date, enumeration, item, link, name, on, structure_v4,
};
use support::requests::{structure, tags, text, vendor};

const EDITS: [(&str, Rights); 4] = [
    ("SetAttribute", Rights::SET_ATTRIBUTE),
    ("AddAttribute", Rights::ADD_ATTRIBUTE),
    ("ModifyAttribute", Rights::MODIFY_ATTRIBUTE),
    ("DeleteAttribute", Rights::DELETE_ATTRIBUTE),
];

/// A server with the active key `k1`.
fn with_key(attributes: &[String]) -> Kms {
    let mut kms = Kms::new();
    let attributes = [&[active()], attributes].concat();
    assert!(kms.ask("alice", &create("k1", &attributes)).starts_with("200"));
    kms
}

fn edit(root: &str, attribute: &str) -> String {
    let field = if root == "DeleteAttribute" { "CurrentAttribute" } else { "NewAttribute" };
    structure(root, &[on("k1"), structure(field, &[attribute.to_owned()])])
}

fn done(root: &str) -> String {
    format!("200 {}", structure(&format!("{root}Response"), &[on("k1")]))
}

/// The attributes of `k1` that these names ask for.
fn get(kms: &mut Kms, names: &[&str]) -> String {
    let mut items = vec![on("k1")];
    items.extend(names.iter().map(|name| enumeration("AttributeReference", name)));
    let answer = kms.v5("GetAttributes", &items);
    let begin = format!(r#"200 {{"tag":"GetAttributesResponse","value":[{},"#, on("k1"));
    let begin = format!(r#"{begin}{{"tag":"Attributes","value":["#);
    let inner = answer.strip_prefix(&begin).unwrap_or_else(|| panic!("{answer}"));
    inner.strip_suffix("]}]}").unwrap().to_owned()
}

/// Does one edit after the other; each must succeed.
fn succeed(kms: &mut Kms, edits: &[(&str, String)]) {
    for (root, attribute) in edits {
        assert_eq!(kms.ask("alice", &edit(root, attribute)), done(root), "{attribute}");
    }
}

#[test]
fn attributes_are_set_and_deleted_as_by_5_28() {
    let mut kms = with_key(&[]);
    let foo = vendor("cosmian", "foo", &item("AttributeValue", "ByteString", "\"0102\""));
    succeed(
        &mut kms,
        &[
            ("SetAttribute", name("nm1")),
            ("SetAttribute", link("ChildLink", "other")),
            ("SetAttribute", foo.clone()),
            ("SetAttribute", item("CryptographicUsageMask", "Integer", "12")),
            ("SetAttribute", item("CryptographicLength", "Integer", "256")),
            ("SetAttribute", item("RotateInterval", "LongInteger", "\"0x0000000000015180\"")),
            ("SetAttribute", date("ActivationDate", "2023-11-14T22:13:20Z")),
        ],
    );
    let asked =
        ["ActivationDate", "CryptographicUsageMask", "LinkType", "Name", "RotateInterval", "Attribute"];
    let expected = [
        date("ActivationDate", "2023-11-14T22:13:20Z"),
        item("CryptographicUsageMask", "Integer", "12"),
        link("ChildLink", "other"),
        name("nm1"),
        item("RotateInterval", "LongInteger", "\"0x0000000000015180\""),
        foo.clone(),
    ];
    assert_eq!(get(&mut kms, &asked), expected.join(","));
    assert_eq!(
        kms.ask("alice", &edit("ModifyAttribute", &date("ActivationDate", "2023-11-14T22:13:20Z"))),
        "422 Wrong_Key_Lifecycle_State: ModifyAttribute: ActivationDate can only be modified on a Pre-Active object \
         (current state: Active)"
    );
    let reference = enumeration("AttributeReferences", "CryptographicLength");
    assert_eq!(
        kms.v5("DeleteAttribute", &[on("k1"), reference]),
        "422 Attribute_Read_Only: DENIED: this attribute is server-managed and cannot be deleted by the user"
    );
    succeed(&mut kms, &[("DeleteAttribute", name("nm1")), ("DeleteAttribute", foo)]);
    assert_eq!(get(&mut kms, &["Name", "LinkType", "Attribute"]), link("ChildLink", "other"));
}

#[test]
fn a_value_is_set_added_or_modified_by_kmips_rules() {
    let mut kms = with_key(&[]);
    succeed(
        &mut kms,
        &[
            ("AddAttribute", name("a")),
            ("AddAttribute", name("b")),
            ("AddAttribute", link("ChildLink", "c1")),
            ("AddAttribute", link("ChildLink", "c2")),
            ("AddAttribute", text("ObjectGroup", "g")),
            ("AddAttribute", text("ContactInformation", "alice")),
            ("ModifyAttribute", text("ContactInformation", "bob")),
            ("SetAttribute", link("ParentLink", "p")),
        ],
    );
    let both = structure("CurrentAttribute", &[name("b")]);
    let changed = structure("ModifyAttribute", &[on("k1"), both, structure("NewAttribute", &[name("B")])]);
    assert_eq!(kms.ask("alice", &changed), done("ModifyAttribute"));
    let links = [link("ChildLink", "c1"), link("ChildLink", "c2"), link("ParentLink", "p")];
    assert_eq!(
        get(&mut kms, &["Name", "Link", "ContactInformation", "ObjectGroup"]),
        [text("ContactInformation", "bob"), links.join(","), name("a"), name("B"), text("ObjectGroup", "g")]
            .join(",")
    );
    // Setting puts one in the place of the one with that name, or of the link of that type; of several it cannot know which.
    let first = |value| structure("CurrentAttribute", &[value]);
    for (value, again) in [(name("c"), name("a")), (link("ChildLink", "c3"), link("ChildLink", "c1"))] {
        let set =
            structure("SetAttribute", &[on("k1"), structure("NewAttribute", std::slice::from_ref(&value))]);
        let told = kms.ask("alice", &set);
        assert!(told.starts_with("422 Multi_Valued_Attribute: SetAttribute: "), "{told}");
        assert_eq!(
            kms.ask("alice", &structure("DeleteAttribute", &[on("k1"), first(again)])),
            done("DeleteAttribute")
        );
        succeed(&mut kms, &[("SetAttribute", value)]);
    }
    assert_eq!(
        get(&mut kms, &["Name", "Link"]),
        [link("ChildLink", "c3"), link("ParentLink", "p"), name("c")].join(",")
    );
    let all = structure("DeleteAttribute", &[on("k1"), enumeration("AttributeReference", "Link")]);
    assert_eq!(kms.ask("alice", &all), done("DeleteAttribute"));
    assert_eq!(get(&mut kms, &["Name", "Link"]), name("c"));
}

#[test]
fn what_kmip_forbids_is_refused_with_field_and_rule() {
    let mut kms = with_key(&[boolean("Sensitive", true), boolean("Extractable", false)]);
    succeed(&mut kms, &[("AddAttribute", name("a")), ("AddAttribute", name("b"))]);
    let read_only = "Attribute_Read_Only: ";
    let deleting = "DENIED: this attribute is server-managed and cannot be deleted by the user";
    let invalid = "Invalid Request: ";
    let current_state = "on a Pre-Active object (current state: Active)";
    for (root, attribute, begin, rest) in [
        (
            "SetAttribute",
            enumeration("State", "Active"),
            read_only,
            "SetAttribute: State is set by the server alone",
        ),
        (
            "SetAttribute",
            boolean("AlwaysSensitive", true),
            read_only,
            "SetAttribute: AlwaysSensitive is set by the server alone",
        ),
        (
            "ModifyAttribute",
            date("InitialDate", "2023-11-14T22:13:20Z"),
            read_only,
            "ModifyAttribute: InitialDate is set by the server alone",
        ),
        ("SetAttribute", on("k2"), read_only, "SetAttribute: UniqueIdentifier is set by the server alone"),
        (
            "SetAttribute",
            item("CryptographicLength", "Integer", "128"),
            read_only,
            "SetAttribute: CryptographicLength does not change",
        ),
        (
            "SetAttribute",
            boolean("Sensitive", false),
            read_only,
            "SetAttribute: Sensitive cannot become false again",
        ),
        (
            "SetAttribute",
            boolean("Extractable", true),
            read_only,
            "SetAttribute: Extractable cannot become true again",
        ),
        (
            "SetAttribute",
            vendor("cosmian", "wrapping_key_id", &text("AttributeValue", "kek")),
            read_only,
            "SetAttribute: cosmian/wrapping_key_id is decided when the object is made",
        ),
        ("DeleteAttribute", boolean("Sensitive", true), read_only, deleting),
        (
            "AddAttribute",
            item("CryptographicUsageMask", "Integer", "1"),
            "Attribute_Single_Valued: ",
            "AddAttribute: CryptographicUsageMask is there already",
        ),
        ("AddAttribute", name("a"), "Attribute_Single_Valued: ", "AddAttribute: Name is there already"),
        (
            "ModifyAttribute",
            text("Comment", "c"),
            "Attribute_Not_Found: ",
            "ModifyAttribute: object k1 has no such Comment",
        ),
        (
            "DeleteAttribute",
            name("c"),
            "Attribute_Not_Found: ",
            "DeleteAttribute: object k1 has no such Name",
        ),
        (
            "SetAttribute",
            date("ActivationDate", "2027-01-01T00:00:00Z"),
            "Wrong_Key_Lifecycle_State: SetAttribute: ActivationDate can only be modified ",
            current_state,
        ),
        (
            "ModifyAttribute",
            name("c"),
            invalid,
            "ModifyAttribute: Name has several values: CurrentAttribute says which",
        ),
        ("SetAttribute", text("Name", "n"), invalid, "SetAttribute: Name must be a Structure"),
        (
            "SetAttribute",
            link("ChildLink", "c").replace("ChildLink", "0x00000001"),
            invalid,
            "Link: LinkType is no value of its enumeration",
        ),
        ("SetAttribute", tags("x"), invalid, "the vendor attribute 'tag' must be a JSON array of strings"),
    ] {
        assert_eq!(kms.ask("alice", &edit(root, &attribute)), format!("422 {begin}{rest}"), "{attribute}");
    }
    let new = structure("NewAttribute", &[name("a"), name("b")]);
    assert_eq!(
        kms.v5("SetAttribute", &[on("k1"), new]),
        "422 Invalid Request: SetAttribute: NewAttribute must hold exactly one attribute"
    );
    assert_eq!(
        kms.v5("SetAttribute", &[on("k1")]),
        "422 Invalid Request: SetAttribute: missing field `NewAttribute`"
    );
    assert_eq!(
        kms.v5("DeleteAttribute", &[on("k1")]),
        "422 Invalid Request: DeleteAttribute: CurrentAttribute or an AttributeReference must be given"
    );
    let other = structure("CurrentAttribute", &[text("Comment", "c")]);
    assert_eq!(
        kms.v5("ModifyAttribute", &[on("k1"), other, structure("NewAttribute", &[name("a")])]),
        "422 Invalid Request: ModifyAttribute: CurrentAttribute and NewAttribute must be the same attribute"
    );
    // Nothing of all that has changed anything.
    assert_eq!(get(&mut kms, &["Name", "Tag"]), [name("a"), name("b"), tags(r#"["_kk"]"#)].join(","));
}

#[test]
fn dates_are_in_order_and_change_only_while_they_may() {
    let mut kms = Kms::new();
    assert!(kms.ask("alice", &create("k1", &[])).starts_with("200"));
    let start = date("ProcessStartDate", "2026-12-02T00:00:00Z");
    succeed(
        &mut kms,
        &[
            ("SetAttribute", date("ActivationDate", "2026-12-01T00:00:00Z")),
            ("SetAttribute", start.clone()),
            ("SetAttribute", date("DeactivationDate", "2026-12-10T00:00:00Z")),
            ("SetAttribute", date("ProtectStopDate", "2026-12-03T00:00:00Z")),
            ("ModifyAttribute", date("ActivationDate", "2026-11-30T00:00:00Z")),
        ],
    );
    for (attribute, told) in [
        (
            date("ProcessStartDate", "2026-11-29T00:00:00Z"),
            "ProcessStartDate must not precede ActivationDate",
        ),
        (date("ActivationDate", "2026-12-03T00:00:00Z"), "ProcessStartDate must not precede ActivationDate"),
        (
            date("DeactivationDate", "2026-12-02T00:00:00Z"),
            "DeactivationDate must not precede ProtectStopDate",
        ),
        (
            date("ProtectStopDate", "2026-12-11T00:00:00Z"),
            "DeactivationDate must not precede ProtectStopDate",
        ),
    ] {
        let told = format!("422 Invalid Request: SetAttribute: {told}");
        assert_eq!(kms.ask("alice", &edit("SetAttribute", &attribute)), told);
    }
    kms.now += 10 * 24 * 60 * 60;
    assert_eq!(
        kms.ask("alice", &edit("SetAttribute", &start)),
        "422 Attribute_Read_Only: SetAttribute: ProcessStartDate does not change once it is reached"
    );
    assert_eq!(
        kms.ask("alice", &edit("ModifyAttribute", &date("ProtectStopDate", "2026-12-09T12:00:00Z"))),
        "422 Attribute_Read_Only: ModifyAttribute: ProtectStopDate does not change once it is reached"
    );
    succeed(&mut kms, &[("SetAttribute", date("DeactivationDate", "2026-12-09T00:00:00Z"))]);
    kms.now += 10 * 24 * 60 * 60;
    assert_eq!(
        kms.ask("alice", &edit("SetAttribute", &date("DeactivationDate", "2027-01-01T00:00:00Z"))),
        "422 Wrong_Key_Lifecycle_State: SetAttribute: DeactivationDate can only be modified on a \
         Pre-Active or Active object (current state: Deactivated)"
    );
    let twice =
        [date("ProtectStopDate", "2027-01-02T00:00:00Z"), date("DeactivationDate", "2027-01-01T00:00:00Z")];
    assert_eq!(
        kms.ask("alice", &create("k2", &twice)),
        "422 Invalid Request: Attributes: DeactivationDate must not precede ProtectStopDate"
    );
}

#[test]
fn what_nobody_knows_is_kept_and_found_by_its_code() {
    let mut kms = with_key(&[item("0x540009", "Integer", "7")]);
    succeed(&mut kms, &[("AddAttribute", text("0x54000A", "seen"))]);
    let both = [item("0x540009", "Integer", "7"), text("0x54000A", "seen")];
    assert_eq!(get(&mut kms, &["0x540009", "0x54000A"]), both.join(","));
    succeed(&mut kms, &[("DeleteAttribute", text("0x54000A", "seen"))]);
    assert_eq!(get(&mut kms, &["0x540009", "0x54000A"]), both[0]);
}

#[test]
fn what_is_brought_keeps_the_date_of_its_creation() {
    let mut kms = Kms::new();
    let key = support::requests::symmetric_key("Raw", &"07".repeat(16), &[]);
    let asked = "OriginalCreationDate";
    for (uid, said, kept) in [
        ("old", "2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
        ("ahead", "2031-01-01T00:00:00Z", "2026-11-23T19:00:00Z"),
    ] {
        let import = support::requests::import(uid, "SymmetricKey", &[date(asked, said)], &key);
        assert!(kms.ask("alice", &import).starts_with("200"));
        let answer = kms.v5("GetAttributes", &[on(uid), enumeration("AttributeReference", asked)]);
        assert!(answer.contains(&date(asked, kept)), "{answer}");
    }
    assert!(kms.ask("alice", &create("new", &[date(asked, "2001-01-01T00:00:00Z")])).starts_with("200"));
    let answer = kms.v5("GetAttributes", &[on("new"), enumeration("AttributeReference", asked)]);
    assert!(answer.contains(&date(asked, "2026-11-23T19:00:00Z")), "{answer}");
}

#[test]
fn what_is_the_servers_is_not_set_and_nothing_is_there_twice() {
    let mut kms = with_key(&[text("ObjectGroup", "a")]);
    assert_eq!(
        kms.ask("alice", &edit("AddAttribute", &vendor("y", "seen", &text("AttributeValue", "yes")))),
        "422 Attribute_Read_Only: AddAttribute: y/seen is of the vendor 'y', and so the server's alone"
    );
    succeed(&mut kms, &[("AddAttribute", text("ObjectGroup", "b"))]);
    let current = structure("CurrentAttribute", &[text("ObjectGroup", "a")]);
    let same = structure("NewAttribute", &[text("ObjectGroup", "b")]);
    assert_eq!(
        kms.v5("ModifyAttribute", &[on("k1"), current, same]),
        "422 Attribute_Single_Valued: ModifyAttribute: ObjectGroup is there already"
    );
    let twice =
        [item("CryptographicLength", "Integer", "128"), item("CryptographicLength", "Integer", "256")];
    let twice =
        structure("Create", &[enumeration("ObjectType", "SymmetricKey"), structure("Attributes", &twice)]);
    assert_eq!(
        kms.ask("alice", &twice),
        "422 Invalid Request: Attributes: CryptographicLength may be given once"
    );
}

#[test]
fn tags_are_changed_as_the_attribute_that_carries_them() {
    let mut kms = with_key(&[tags(r#"["a","b"]"#)]);
    let mut after = |root: &str, list: &str| {
        succeed(&mut kms, &[(root, tags(list))]);
        kms.object("k1").unwrap().tags.join(" ")
    };
    assert_eq!(after("AddAttribute", r#"["c","a"]"#), "a b c _kk");
    assert_eq!(after("DeleteAttribute", r#"["b"]"#), "a c _kk");
    assert_eq!(after("SetAttribute", r#"["x","y"]"#), "x y _kk");
    assert_eq!(after("ModifyAttribute", r#"["z"]"#), "z _kk");
    // They are in the index at once.
    assert!(kms.v5("Get", &[on(r#"["z"]"#)]).contains("\"k1\""));
    assert!(kms.v5("Get", &[on(r#"["a"]"#)]).starts_with("422"));
    let all = enumeration("AttributeReference", "Tag");
    assert_eq!(kms.v5("DeleteAttribute", &[on("k1"), all]), done("DeleteAttribute"));
    assert_eq!(kms.object("k1").unwrap().tags, ["_kk"]);
    let many: Vec<String> = (0..64).map(|n| format!("\"{n}\"")).collect();
    assert_eq!(
        kms.ask("alice", &edit("SetAttribute", &tags(&format!("[{}]", many.join(","))))),
        "422 Invalid Request: an object has at most 64 tags"
    );
}

#[test]
fn attributes_keep_within_their_limits() {
    let mut kms = with_key(&[]);
    let long = "x".repeat(60_000);
    succeed(&mut kms, &[("SetAttribute", text("Comment", &long))]);
    assert!(
        kms.ask("alice", &edit("SetAttribute", &text("Description", &long)))
            .starts_with("422 Invalid Request: the attributes take 120")
    );
    let mut added = 0;
    let refused = loop {
        let answer = kms.ask("alice", &edit("AddAttribute", &text("ObjectGroup", &added.to_string())));
        if !answer.starts_with("200") {
            break answer;
        }
        added += 1;
    };
    assert_eq!(refused, "422 Invalid Request: there are more than 256 attributes");
    // The server itself still dates what happens, and less is always possible.
    let reason = structure("RevocationReason", &[enumeration("RevocationReasonCode", "Superseded")]);
    assert!(kms.v5("Revoke", &[on("k1"), reason]).starts_with("200"));
    succeed(&mut kms, &[("DeleteAttribute", text("ObjectGroup", "0"))]);
    let twice = [text("Comment", "a"), text("Comment", "b")];
    assert_eq!(
        kms.ask("alice", &create("k2", &twice)),
        "422 Invalid Request: Attributes: Comment may be given once"
    );
}

#[test]
fn usage_limits_begin_whole_and_do_not_change_once_used() {
    let limits = |total: i64, count: Option<i64>| {
        let long = |tag, n: i64| item(tag, "LongInteger", &format!("\"0x{n:016X}\""));
        let mut items = vec![long("UsageLimitsTotal", total)];
        items.extend(count.map(|count| long("UsageLimitsCount", count)));
        items.push(enumeration("UsageLimitsUnit", "Object"));
        structure("UsageLimits", &items)
    };
    let mut kms = with_key(&[limits(10, None)]);
    assert_eq!(get(&mut kms, &["UsageLimits"]), limits(10, Some(10)));
    assert_eq!(
        kms.ask("alice", &edit("SetAttribute", &limits(10, Some(11)))),
        "422 Invalid Request: UsageLimits: UsageLimitsCount must not exceed UsageLimitsTotal"
    );
    assert_eq!(
        kms.ask("alice", &edit("SetAttribute", &limits(20, Some(5)))),
        "422 Attribute_Read_Only: SetAttribute: UsageLimits has a UsageLimitsCount, which the server sets alone"
    );
    succeed(&mut kms, &[("SetAttribute", limits(20, Some(20)))]);
    assert!(kms.v5("Encrypt", &[on("k1"), item("Data", "ByteString", "\"00\"")]).starts_with("200"));
    assert_eq!(
        kms.ask("alice", &edit("SetAttribute", &limits(20, None))),
        "422 Attribute_Read_Only: SetAttribute: UsageLimits do not change once the object was used"
    );
    assert!(
        kms.ask("alice", &edit("DeleteAttribute", &limits(20, Some(19))))
            .starts_with("422 Attribute_Read_Only")
    );
}

#[test]
fn each_change_has_a_right_of_its_own() {
    let mut kms = with_key(&[]);
    for (user, (root, right)) in ["bob", "carol", "dave", "erin"].into_iter().zip(EDITS) {
        let ask = |kms: &mut Kms, root| kms.ask(user, &edit(root, &name("n")));
        let hidden = "422 Object_Not_Found: object not found for identifier k1";
        for (root, _) in EDITS {
            assert_eq!(ask(&mut kms, root), hidden);
        }
        kms.grant("k1", user, right);
        if root == "ModifyAttribute" || root == "DeleteAttribute" {
            succeed(&mut kms, &[("SetAttribute", name("n"))]);
        } else {
            kms.ask("alice", &edit("DeleteAttribute", &name("n")));
        }
        for (other, _) in EDITS.into_iter().filter(|(other, _)| *other != root) {
            assert_eq!(ask(&mut kms, other), hidden, "{other} with the right to {root}");
        }
        assert_eq!(ask(&mut kms, root), done(root));
    }
}

#[test]
fn attributes_are_named_in_every_way() {
    let foo = vendor("acme", "foo", &item("AttributeValue", "Integer", "7"));
    let mut kms = with_key(&[foo.clone(), name("n"), tags(r#"["t"]"#)]);
    let by_vendor = |owner: &str, name: &str| {
        structure("AttributeReference", &[text("VendorIdentification", owner), text("AttributeName", name)])
    };
    let mut get = |reference: String| {
        let answer = kms.v5("GetAttributes", &[on("k1"), reference]);
        let (_, rest) = answer.split_once(r#""Attributes","value":["#).unwrap();
        rest.strip_suffix("]}]}").unwrap().to_owned()
    };
    assert_eq!(get(by_vendor("acme", "foo")), foo);
    assert_eq!(get(by_vendor("Cosmian", "tag")), tags(r#"["t","_kk"]"#));
    assert_eq!(get(by_vendor("acme", "bar")), "");
    assert_eq!(get(enumeration("AttributeReference", "Attribute")), foo);
    assert_eq!(get(enumeration("AttributeReferences", "Name")), name("n"));
    assert_eq!(get(item("AttributeReference", "Enumeration", "\"0x00420053\"")), name("n"));
    assert_eq!(get(text("AttributeReference", "Name")), name("n"));
    let bits = item("CryptographicLength", "Integer", "256");
    let reference = enumeration("AttributeReferences", "CryptographicLength");
    let wrapped = structure_v4("AttributeReferences", &[reference]);
    assert_eq!(
        kms.v4("GetAttributes", &[on("k1"), wrapped]),
        format!(
            "200 {}",
            structure_v4("GetAttributesResponse", &[on("k1"), structure_v4("Attributes", &[bits])])
        )
    );
    assert_eq!(
        kms.v5("GetAttributes", &[on("k1"), text("AttributeReference", "Nonsense")]),
        "422 Invalid Request: GetAttributes: AttributeReference is no name of an attribute"
    );
}

#[test]
fn attribute_lists_name_each_attribute_once() {
    let foo = vendor("acme", "foo", &item("AttributeValue", "Integer", "7"));
    let mut kms = with_key(&[foo, name("n"), name("m")]);
    let reference = |name: &&str| enumeration("AttributeReference", name);
    let names = [
        "ActivationDate",
        "AlwaysSensitive",
        "CryptographicAlgorithm",
        "CryptographicLength",
        "CryptographicUsageMask",
        "Digest",
        "Extractable",
        "InitialDate",
        "KeyFormatType",
        "LastChangeDate",
        "Name",
        "NeverExtractable",
        "ObjectType",
        "OriginalCreationDate",
        "Sensitive",
        "State",
        "UniqueIdentifier",
    ];
    let by_vendor = |owner: &str, name: &str| {
        structure("AttributeReference", &[text("VendorIdentification", owner), text("AttributeName", name)])
    };
    let mut items = vec![on("k1")];
    items.extend(names.iter().map(reference));
    items.extend([by_vendor("acme", "foo"), by_vendor("cosmian", "tag")]);
    assert_eq!(
        kms.v5("GetAttributeList", &[on("k1")]),
        format!("200 {}", structure("GetAttributeListResponse", &items))
    );
    let answer = kms.v4("GetAttributeList", &[on("k1")]);
    let first = r#"{"tag":"AttributeReferences","type":"Structure","value":[{"tag":"AttributeReferences","type":"Enumeration","value":"ActivationDate"},"#;
    assert!(answer.contains(first), "{answer}");
}

#[test]
fn check_tells_what_would_not_be_allowed() {
    let long = |tag, n: i64| item(tag, "LongInteger", &format!("\"0x{n:016X}\""));
    let limits = [long("UsageLimitsTotal", 10), enumeration("UsageLimitsUnit", "Object")];
    let mut kms =
        with_key(&[item("CryptographicUsageMask", "Integer", "12"), structure("UsageLimits", &limits)]);
    let mut check = |items: &[String]| {
        let answer = kms.v5("Check", &[&[on("k1")], items].concat());
        let fields = answer.strip_prefix(r#"200 {"tag":"CheckResponse","value":["#);
        fields.unwrap_or_else(|| panic!("{answer}")).strip_suffix("]}").unwrap().to_owned()
    };
    let mask = |bits: &str| item("CryptographicUsageMask", "Integer", bits);
    let lease = |seconds: &str| item("LeaseTime", "Interval", seconds);
    assert_eq!(check(&[]), on("k1"));
    assert_eq!(check(&[mask("4"), long("UsageLimitsCount", 10), lease("0")]), on("k1"));
    assert_eq!(
        check(&[mask("6"), long("UsageLimitsCount", 11), lease("60")]),
        format!("{},{},{}", long("UsageLimitsCount", 10), mask("12"), lease("0"))
    );
    assert_eq!(kms.v5("Check", &[on("k2")]), "422 Object_Not_Found: object not found for identifier k2");
}

//! The editions that this program carries.

use aegis_core::edition::Edition;
use aegis_editions::Spec;

#[test]
fn every_edition_loads_and_differs_from_the_others() {
    let specs = Spec::all().unwrap();
    assert_eq!(specs.iter().map(|spec| spec.id).collect::<Vec<_>>(), Edition::ALL);
}

#[test]
fn a_specification_survives_the_way_through_the_image() {
    for spec in Spec::all().unwrap() {
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
    }
}

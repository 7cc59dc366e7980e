use apollo_parser::{
    Parser,
    cst::{self, CstNode as _, Definition, Selection},
};
use serde_json::Value;

use crate::limits;

/// A document that defines queries and fragments, and nothing else.
pub(super) struct Document {
    operations: Vec<Operation>,
    /// `rateLimit` is selected somewhere in it: its answer is true for a moment only.
    pub(super) asks_for_limits: bool,
}

pub(super) struct Operation {
    name: Option<String>,
    /// Its root has nothing but `__schema` and `__type`.
    pub(super) is_introspection: bool,
    /// The arguments of its `repository` fields, if its root has nothing else.
    repositories: Option<Vec<(Argument, Argument)>>,
}

#[derive(Clone)]
enum Argument {
    Text(String),
    Variable(String),
}

/// Reads a document, or says why it may be more than queries.
pub(super) fn read(text: &str) -> Result<Document, &'static str> {
    // Readers differ in what ends a line, and so in what is a comment.
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' if bytes.peek() != Some(&b'\n') => return Err("a line ends in a way of its own"),
            0..=8 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f => return Err("its document has control characters"),
            _ => {}
        }
    }
    // Also in a string or a comment: then no mistake about where those end can matter.
    if words(text).any(|word| word == "mutation" || word == "subscription") {
        return Err("it has the word mutation or subscription");
    }
    let parser = Parser::new(text).recursion_limit(limits::GRAPHQL_DEPTH_MAX).token_limit(limits::GRAPHQL_TOKENS_MAX);
    let tree = parser.parse();
    if tree.errors().next().is_some() {
        return Err("its document does not parse");
    }
    let document = tree.document();
    let mut operations = Vec::new();
    for definition in document.definitions() {
        match definition {
            Definition::OperationDefinition(definition) => {
                operations.push(operation(&definition).ok_or("an operation of it is no query")?);
            }
            Definition::FragmentDefinition(_) => {}
            _ => return Err("its document defines types"),
        }
    }
    if operations.is_empty() {
        return Err("its document has no operation");
    }
    let fields = document.syntax().descendants().filter_map(cst::Field::cast);
    let asks_for_limits = fields.filter_map(|field| field.name()).any(|name| name.text().as_str() == "rateLimit");
    Ok(Document { operations, asks_for_limits })
}

impl Document {
    /// The operation that is carried out; `None` if that is not clear.
    pub(super) fn select(&self, name: Option<&str>) -> Option<&Operation> {
        let mut selected = match name {
            Some(name) => self.operations.iter().filter(|operation| operation.name.as_deref() == Some(name)).collect(),
            None => self.operations.iter().collect::<Vec<_>>(),
        };
        selected.pop().filter(|_| selected.is_empty())
    }
}

impl Operation {
    /// The one repository that it names, its `variables` put in.
    pub(super) fn repository(&self, variables: &Value) -> Option<(String, String)> {
        let text = |argument: &Argument| match argument {
            Argument::Text(text) => Some(text.clone()),
            Argument::Variable(name) => variables[name].as_str().map(str::to_owned),
        };
        let mut one = None;
        for (owner, name) in self.repositories.as_ref()? {
            let named = (text(owner)?, text(name)?);
            if one.get_or_insert_with(|| named.clone()) != &named {
                return None;
            }
        }
        one
    }
}

fn operation(definition: &cst::OperationDefinition) -> Option<Operation> {
    let is_query = definition.operation_type().is_none_or(|kind| {
        kind.query_token().is_some() && kind.mutation_token().is_none() && kind.subscription_token().is_none()
    });
    if !is_query {
        return None;
    }
    // A fragment at the root may bring any field: then nothing is known.
    let root: Option<Vec<cst::Field>> = definition
        .selection_set()?
        .selections()
        .map(|selection| if let Selection::Field(field) = selection { Some(field) } else { None })
        .collect();
    let names = |names: &[&str]| {
        root.as_ref().is_some_and(|root| {
            root.iter().all(|field| field.name().is_some_and(|name| names.contains(&name.text().as_str())))
        })
    };
    Some(Operation {
        name: definition.name().map(|name| name.text().to_string()),
        is_introspection: names(&["__schema", "__type"]),
        repositories: if names(&["repository"]) && !leads_elsewhere(definition) {
            root.iter().flatten().map(repository).collect()
        } else {
            None
        },
    })
}

/// Whether a query may show other repositories than the one that it starts from.
fn leads_elsewhere(definition: &cst::OperationDefinition) -> bool {
    let nested = definition.syntax().descendants().filter_map(cst::Field::cast).filter_map(|field| field.name());
    let far = nested.filter(|name| {
        let name = name.text().to_ascii_lowercase();
        name.contains("repositor") || ["owner", "parent", "forks", "viewer", "organization"].contains(&name.as_str())
    });
    let spreads = definition.syntax().descendants().filter_map(cst::FragmentSpread::cast);
    let roots = definition.selection_set().map_or(0, |set| set.selections().count());
    far.count() > roots || spreads.count() > 0
}

fn repository(field: &cst::Field) -> Option<(Argument, Argument)> {
    let argument = |wanted: &str| {
        let arguments = field.arguments()?;
        let argument = arguments.arguments().find(|argument| argument.name().is_some_and(|n| n.text() == wanted))?;
        match argument.value()? {
            cst::Value::StringValue(text) => Some(Argument::Text(String::from(&text))),
            cst::Value::Variable(variable) => Some(Argument::Variable(variable.name()?.text().to_string())),
            _ => None,
        }
    };
    Some((argument("owner")?, argument("name")?))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
}

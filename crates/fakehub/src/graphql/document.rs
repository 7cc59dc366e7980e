use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Selections inside selections, at most; deeper is refused as a syntax error.
pub(super) const DEPTH_MAX: usize = 32;

/// A GraphQL document, variables already in their places.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) operations: Vec<Operation>,
    pub(super) fragments: BTreeMap<String, Vec<Selection>>,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: Option<String>,
    pub(super) mutation: bool,
    pub(super) selections: Vec<Selection>,
}

#[derive(Debug)]
pub(super) enum Selection {
    Field(Field),
    Spread(String),
    Inline(Vec<Selection>),
}

#[derive(Debug)]
pub(super) struct Field {
    /// Under which key the client wants it.
    pub(super) alias: String,
    pub(super) name: String,
    pub(super) args: Map<String, Value>,
    pub(super) selections: Vec<Selection>,
}

/// Parses as much of the language as clients such as `gh` write; `None` if it is not that.
pub(super) fn parse(text: &str, variables: &Map<String, Value>) -> Option<Document> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, variables };
    let mut document = Document::default();
    while let Some(token) = parser.tokens.first() {
        match token {
            Token::Punct('{') => {
                let selections = parser.selections(0)?;
                document.operations.push(Operation { name: None, mutation: false, selections });
            }
            Token::Name("fragment") => {
                parser.next()?;
                let name = parser.name()?;
                parser.skip_to_brace()?;
                document.fragments.insert(name.to_owned(), parser.selections(0)?);
            }
            Token::Name(kind @ ("query" | "mutation")) => {
                parser.next()?;
                let name = parser.name().map(str::to_owned);
                parser.skip_to_brace()?;
                let selections = parser.selections(0)?;
                document.operations.push(Operation { name, mutation: *kind == "mutation", selections });
            }
            _ => return None,
        }
    }
    Some(document)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Name(&'a str),
    Number(&'a str),
    Text(&'a str),
    Punct(char),
    Dots,
}

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let until = |ends: fn(char) -> bool| rest.find(ends).unwrap_or(rest.len());
        let (token, length) = match first {
            '#' => (None, until(|c| c == '\n')),
            '.' if rest.starts_with("...") => (Some(Token::Dots), 3),
            '"' => {
                let length = string_length(rest)?;
                (Some(Token::Text(&rest[..length])), length)
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let length = until(|c| !(c.is_ascii_alphanumeric() || c == '_'));
                (Some(Token::Name(&rest[..length])), length)
            }
            c if c.is_ascii_digit() || c == '-' => {
                let length = until(|c| !(c.is_ascii_digit() || matches!(c, '-' | '.' | 'e' | 'E' | '+')));
                (Some(Token::Number(&rest[..length])), length)
            }
            c if c.is_whitespace() || c == ',' || c == '\u{feff}' => (None, c.len_utf8()),
            c => (Some(Token::Punct(c)), c.len_utf8()),
        };
        tokens.extend(token);
        rest = &rest[length..];
    }
    Some(tokens)
}

/// The length of the string literal that `rest` begins with, quotes included.
fn string_length(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    variables: &'a Map<String, Value>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    fn take(&mut self, token: Token<'_>) -> bool {
        let found = self.tokens.first() == Some(&token);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn name(&mut self) -> Option<&'a str> {
        let Some(Token::Name(name)) = self.tokens.first() else { return None };
        self.tokens = &self.tokens[1..];
        Some(name)
    }

    /// Past variable definitions, type conditions and directives.
    fn skip_to_brace(&mut self) -> Option<()> {
        let mut depth = 0_u32;
        loop {
            match self.tokens.first()? {
                Token::Punct('{') if depth == 0 => return Some(()),
                Token::Punct('(') => depth += 1,
                Token::Punct(')') => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.next()?;
        }
    }

    fn selections(&mut self, depth: usize) -> Option<Vec<Selection>> {
        if depth > DEPTH_MAX || !self.take(Token::Punct('{')) {
            return None;
        }
        let mut selections = Vec::new();
        while !self.take(Token::Punct('}')) {
            selections.push(self.selection(depth)?);
        }
        Some(selections)
    }

    fn selection(&mut self, depth: usize) -> Option<Selection> {
        if self.take(Token::Dots) {
            return match self.tokens.first()? {
                Token::Name(name) if *name != "on" => {
                    self.next()?;
                    Some(Selection::Spread((*name).to_owned()))
                }
                _ => {
                    self.skip_to_brace()?;
                    self.selections(depth + 1).map(Selection::Inline)
                }
            };
        }
        let alias = self.name()?;
        let name = if self.take(Token::Punct(':')) { self.name()? } else { alias };
        let args = self.arguments(depth)?;
        while self.take(Token::Punct('@')) {
            self.name()?;
            self.arguments(depth)?;
        }
        let nested = self.tokens.first() == Some(&Token::Punct('{'));
        let selections = if nested { self.selections(depth + 1)? } else { Vec::new() };
        Some(Selection::Field(Field { alias: alias.to_owned(), name: name.to_owned(), args, selections }))
    }

    fn arguments(&mut self, depth: usize) -> Option<Map<String, Value>> {
        if self.take(Token::Punct('(')) { self.pairs(')', depth) } else { Some(Map::new()) }
    }

    fn pairs(&mut self, end: char, depth: usize) -> Option<Map<String, Value>> {
        let mut pairs = Map::new();
        while !self.take(Token::Punct(end)) {
            let name = self.name()?;
            if !self.take(Token::Punct(':')) {
                return None;
            }
            pairs.insert(name.to_owned(), self.value(depth + 1)?);
        }
        Some(pairs)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.next()? {
            Token::Punct('$') => self.name().map(|name| self.variables.get(name).cloned().unwrap_or(Value::Null)),
            Token::Punct('{') => self.pairs('}', depth).map(Value::Object),
            Token::Punct('[') => {
                let mut items = Vec::new();
                while !self.take(Token::Punct(']')) {
                    items.push(self.value(depth + 1)?);
                }
                Some(Value::Array(items))
            }
            Token::Text(text) | Token::Number(text) => serde_json::from_str(text).ok(),
            Token::Name("null") => Some(Value::Null),
            Token::Name(word) => Some(word.parse().map_or_else(|_| Value::String(word.to_owned()), Value::Bool)),
            _ => None,
        }
    }
}

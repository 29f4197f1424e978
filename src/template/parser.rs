//! Builds the tree from tokens: Go's `text/template/parse`, with names checked
//! at once (unknown functions and undeclared variables are parse errors).

use std::sync::Arc;

use super::{
    ast::{Branch, Command, Define, Node, Operand, Pipe, Span, Term},
    error::{Source, Stage, TemplateError},
    functions::{self, Found},
    lexer::{Token, TokenKind, lex},
    literal,
    value::Str,
};

/// Nesting of blocks and parentheses past which a template is refused.
const MAX_NESTING: usize = 400;

/// The stack grows on the heap by so much when less than so much is left.
const STACK_LEFT: usize = 128 << 10;
const STACK_MORE: usize = 2 << 20;

/// Parses one file: the definitions inside it first, then the file itself.
pub(super) fn parse(name: &str, text: &str, from_values: bool) -> Result<Vec<Define>, TemplateError> {
    let source = Arc::new(Source { name: name.into(), text: text.into(), from_values });
    let (tokens, lex_error) = lex(text);
    let mut parser = Parser {
        source,
        tokens,
        lex_error,
        next: 0,
        vars: vec!["$".to_owned()],
        loops: 0,
        nesting: 0,
        defines: Vec::new(),
    };
    let mut body = Vec::new();
    while parser.peek().kind != TokenKind::Eof {
        if parser.peek().kind == TokenKind::LeftDelim {
            let at = parser.next;
            parser.next += 1;
            if parser.next_solid().kind == TokenKind::Define {
                parser.definition()?;
                continue;
            }
            parser.next = at;
        }
        match parser.text_or_action()? {
            Step::Node(node) => body.push(node),
            Step::End(token) | Step::Else(token) => return Err(parser.unexpected(token, "the template")),
        }
    }
    parser.add(name.to_owned(), body, 0)?;
    Ok(parser.defines)
}

struct Parser {
    source: Arc<Source>,
    tokens: Vec<Token>,
    lex_error: Option<String>,
    next: usize,
    vars: Vec<String>,
    loops: usize,
    nesting: usize,
    defines: Vec<Define>,
}

enum Step {
    Node(Node),
    End(Token),
    Else(Token),
}

fn span(start: usize, end: usize) -> Span {
    let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    Span { start: narrow(start), end: narrow(end) }
}

fn span_of(token: Token) -> Span {
    span(token.start, token.end)
}

type Parsed<T> = Result<T, TemplateError>;

impl Parser {
    fn text(&self, token: Token) -> &str {
        &self.source.text[token.start..token.end]
    }

    /// The last token (end or error) repeats for ever.
    fn peek(&self) -> Token {
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn peek_solid(&mut self) -> Token {
        while self.peek().kind == TokenKind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn next_solid(&mut self) -> Token {
        self.peek_solid();
        self.take()
    }

    fn error(&self, at: Span, message: impl Into<String>) -> TemplateError {
        TemplateError::new(Stage::Parse, &self.source, at, message)
    }

    fn unexpected(&self, token: Token, context: &str) -> TemplateError {
        let message = match token.kind {
            TokenKind::Error => self.lex_error.clone().unwrap_or_default(),
            TokenKind::Eof => format!("unexpected end of the file in {context}; an {{{{ end }}}} is missing"),
            _ => format!("unexpected {:?} in {context}", self.text(token)),
        };
        self.error(span_of(token), message)
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Parsed<Token> {
        let token = self.next_solid();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn deeper(&mut self, at: Token) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.error(span_of(at), format!("nested deeper than {MAX_NESTING} levels")));
        }
        Ok(())
    }

    fn add(&mut self, name: String, body: Vec<Node>, at: usize) -> Parsed<()> {
        let define = Define { name: name.into(), source: Arc::clone(&self.source), body };
        match self.defines.iter_mut().find(|known| known.name == define.name) {
            Some(known) if known.is_empty() => *known = define,
            Some(_) if define.is_empty() => {}
            Some(_) => {
                let message = format!("template {:?} is defined twice in this file", define.name);
                return Err(self.error(span(at, at), message));
            }
            None => self.defines.push(define),
        }
        Ok(())
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.next_solid();
        match token.kind {
            TokenKind::String | TokenKind::RawString => Ok(self.string(token)?.text().into_owned()),
            _ => Err(self.unexpected(token, context)),
        }
    }

    fn string(&self, token: Token) -> Parsed<Str> {
        let text = self.text(token);
        if token.kind == TokenKind::RawString {
            return Ok(Str::from(text[1..text.len() - 1].replace('\r', "")));
        }
        literal::unquote(text).map(Str::from).map_err(|message| self.error(span_of(token), message))
    }

    /// A body that is a scope of its own: `define` and `block`.
    fn own_scope(&mut self, context: &str) -> Parsed<Vec<Node>> {
        let vars = std::mem::replace(&mut self.vars, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, end) = self.item_list()?;
        self.vars = vars;
        self.loops = loops;
        match end {
            Step::Else(token) => Err(self.unexpected(token, context)),
            _ => Ok(body),
        }
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "a define";
        let at = self.peek_solid();
        let name = self.template_name(CONTEXT)?;
        self.expect(TokenKind::RightDelim, CONTEXT)?;
        let body = self.own_scope(CONTEXT)?;
        self.add(name, body, at.start)
    }

    /// Nodes up to the `end` or `else` that closes them.
    fn item_list(&mut self) -> Parsed<(Vec<Node>, Step)> {
        let mut nodes = Vec::new();
        loop {
            if self.peek_solid().kind == TokenKind::Eof {
                return Err(self.unexpected(self.peek(), "a block"));
            }
            match self.text_or_action()? {
                Step::Node(node) => nodes.push(node),
                end => return Ok((nodes, end)),
            }
        }
    }

    fn text_or_action(&mut self) -> Parsed<Step> {
        let token = self.next_solid();
        match token.kind {
            TokenKind::Text => Ok(Step::Node(Node::Text(Str::from(self.text(token))))),
            TokenKind::LeftDelim => self.action(),
            _ => Err(self.unexpected(token, "the template")),
        }
    }

    fn action(&mut self) -> Parsed<Step> {
        let token = self.next_solid();
        let node = match token.kind {
            TokenKind::Block => self.block(token)?,
            TokenKind::Break | TokenKind::Continue => {
                self.expect(TokenKind::RightDelim, "a break or continue")?;
                if self.loops == 0 {
                    let message = format!("{} outside of a range", self.text(token));
                    return Err(self.error(span_of(token), message));
                }
                if token.kind == TokenKind::Break { Node::Break } else { Node::Continue }
            }
            TokenKind::Else => {
                if !matches!(self.peek_solid().kind, TokenKind::If | TokenKind::With) {
                    self.expect(TokenKind::RightDelim, "an else")?;
                }
                return Ok(Step::Else(token));
            }
            TokenKind::End => {
                self.expect(TokenKind::RightDelim, "an end")?;
                return Ok(Step::End(token));
            }
            TokenKind::If | TokenKind::With | TokenKind::Range => {
                stacker::maybe_grow(STACK_LEFT, STACK_MORE, || self.control(token))?
            }
            TokenKind::Template => {
                let name = self.template_name("a template call")?;
                let pipe = if self.next_solid().kind == TokenKind::RightDelim {
                    None
                } else {
                    self.next -= 1;
                    Some(self.pipeline("a template call", TokenKind::RightDelim, false)?)
                };
                let end = self.tokens[self.next - 1].start;
                Node::Template { name: name.into(), pipe, span: span(token.start, end) }
            }
            _ => {
                self.next -= 1;
                Node::Action(self.pipeline("an action", TokenKind::RightDelim, false)?)
            }
        };
        Ok(Step::Node(node))
    }

    fn block(&mut self, token: Token) -> Parsed<Node> {
        let name = self.template_name("a block")?;
        let pipe = self.pipeline("a block", TokenKind::RightDelim, false)?;
        let end = self.tokens[self.next - 1].start;
        let body = self.own_scope("a block")?;
        self.add(name.clone(), body, token.start)?;
        Ok(Node::Template { name: name.into(), pipe: Some(pipe), span: span(token.start, end) })
    }

    fn control(&mut self, keyword: Token) -> Parsed<Node> {
        self.deeper(keyword)?;
        let vars = self.vars.len();
        let context = match keyword.kind {
            TokenKind::If => "an if",
            TokenKind::With => "a with",
            _ => "a range",
        };
        let is_range = keyword.kind == TokenKind::Range;
        let pipe = self.pipeline(context, TokenKind::RightDelim, is_range)?;
        self.loops += usize::from(is_range);
        let (body, end) = self.item_list()?;
        self.loops -= usize::from(is_range);
        let mut otherwise = Vec::new();
        if let Step::Else(_) = end {
            let next = self.peek();
            if matches!(next.kind, TokenKind::If | TokenKind::With) {
                if next.kind != keyword.kind {
                    return Err(self.unexpected(next, &format!("the else of {context}")));
                }
                self.next += 1;
                otherwise.push(self.control(next)?);
            } else {
                let (nodes, end) = self.item_list()?;
                if let Step::Else(token) = end {
                    return Err(self.error(span_of(token), "a second else; an end is expected"));
                }
                otherwise = nodes;
            }
        }
        self.vars.truncate(vars);
        self.nesting -= 1;
        let branch = Branch { pipe, body, otherwise };
        Ok(match keyword.kind {
            TokenKind::If => Node::If(branch),
            TokenKind::With => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    fn pipeline(&mut self, context: &str, end: TokenKind, is_range: bool) -> Parsed<Pipe> {
        let start = self.peek_solid().start;
        let (declares, assigns) = self.declarations(context, is_range)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.next_solid();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&commands, token, context)?;
                    return Ok(Pipe { declares, assigns, commands, span: span(start, token.start) });
                }
                TokenKind::Bool
                | TokenKind::CharConstant
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::RawString
                | TokenKind::String
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    self.next -= 1;
                    commands.push(self.command()?);
                }
                _ => return Err(self.unexpected(token, context)),
            }
        }
    }

    fn declarations(&mut self, context: &str, is_range: bool) -> Parsed<(Vec<Box<str>>, bool)> {
        let mut declares: Vec<Box<str>> = Vec::new();
        while self.peek_solid().kind == TokenKind::Variable {
            let at = self.next;
            let variable = self.take();
            let name = self.text(variable).to_owned();
            let follow = self.peek_solid();
            match follow.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    self.next += 1;
                    declares.push(name.clone().into());
                    self.vars.push(name);
                    return Ok((declares, follow.kind == TokenKind::Assign));
                }
                TokenKind::Comma => {
                    self.next += 1;
                    declares.push(name.clone().into());
                    self.vars.push(name);
                    if !is_range || declares.len() > 1 {
                        return Err(self.error(span_of(variable), format!("too many declarations in {context}")));
                    }
                    let next = self.peek_solid();
                    if !matches!(next.kind, TokenKind::Variable | TokenKind::RightDelim | TokenKind::RightParen) {
                        return Err(self.error(span_of(next), "a range can only initialize variables"));
                    }
                }
                _ => {
                    self.next = at;
                    return Ok((declares, false));
                }
            }
        }
        Ok((declares, false))
    }

    fn check_pipeline(&self, commands: &[Command], end: Token, context: &str) -> Parsed<()> {
        if commands.is_empty() {
            return Err(self.error(span_of(end), format!("a value is missing in {context}")));
        }
        for command in &commands[1..] {
            let first = &command.operands[0];
            if matches!(first.term, Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text(_)) {
                let message = "this cannot be called, so nothing can be piped into it";
                return Err(self.error(first.span, message));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut operands = Vec::new();
        loop {
            let at = self.peek_solid();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.take();
            match token.kind {
                TokenKind::Space => {}
                TokenKind::RightDelim | TokenKind::RightParen => {
                    self.next -= 1;
                    return self.command_of(operands, at);
                }
                TokenKind::Pipe => return self.command_of(operands, at),
                _ => return Err(self.unexpected(token, "an operand")),
            }
        }
    }

    fn command_of(&self, operands: Vec<Operand>, at: Token) -> Parsed<Command> {
        if operands.is_empty() {
            return Err(self.error(span_of(at), "an empty command"));
        }
        Ok(Command { operands })
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let start = self.peek_solid();
        let Some(term) = self.term()? else { return Ok(None) };
        let mut fields = Vec::new();
        while self.peek().kind == TokenKind::Field {
            let token = self.take();
            fields.push(Str::from(&self.text(token)[1..]));
        }
        let end = self.tokens[self.next - 1].end;
        let whole = span(start.start, end);
        if fields.is_empty() {
            return Ok(Some(Operand { term, span: whole }));
        }
        let term = match term {
            Term::Field(mut known) => {
                known.append(&mut fields);
                Term::Field(known)
            }
            Term::Variable { name, fields: mut known } => {
                known.append(&mut fields);
                Term::Variable { name, fields: known }
            }
            Term::Bool(_) | Term::Text(_) | Term::Number(_) | Term::Nil | Term::Dot => {
                return Err(self.error(whole, "a field access after a literal or a dot"));
            }
            other => Term::Chain { inner: Box::new(Operand { term: other, span: span_of(start) }), fields },
        };
        Ok(Some(Operand { term, span: whole }))
    }

    fn term(&mut self) -> Parsed<Option<Term>> {
        let token = self.next_solid();
        let at = span_of(token);
        let text = self.text(token);
        let term = match token.kind {
            TokenKind::Identifier => match functions::find(text) {
                Found::Function(function) => Term::Function(function),
                Found::Unsupported => {
                    return Err(self.error(at, format!("function {text:?} is not supported yet")));
                }
                Found::Unknown => return Err(self.error(at, format!("function {text:?} is not defined"))),
            },
            TokenKind::Dot => Term::Dot,
            TokenKind::Nil => Term::Nil,
            TokenKind::Variable => {
                if !self.vars.iter().any(|known| known == text) {
                    return Err(self.error(at, format!("variable {text} is not declared here")));
                }
                Term::Variable { name: text.into(), fields: Vec::new() }
            }
            TokenKind::Field => Term::Field(vec![Str::from(&text[1..])]),
            TokenKind::Bool => Term::Bool(text == "true"),
            TokenKind::CharConstant => Term::Number(literal::character(text).map_err(|m| self.error(at, m))?),
            TokenKind::Number => Term::Number(literal::number(text).map_err(|m| self.error(at, m))?),
            TokenKind::String | TokenKind::RawString => Term::Text(self.string(token)?),
            TokenKind::LeftParen => {
                self.deeper(token)?;
                let pipe = stacker::maybe_grow(STACK_LEFT, STACK_MORE, || {
                    self.pipeline("a parenthesis", TokenKind::RightParen, false)
                })?;
                self.nesting -= 1;
                Term::Pipe(Box::new(pipe))
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(term))
    }
}

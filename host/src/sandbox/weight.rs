//! How much work a component's code is to the compiler, and the most of it that is taken on. The
//! compiler has no limits of its own: a function of 300 KB can take gigabytes and minutes. Pure.

use thiserror::Error;
use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload, TypeRef};

/// The longest body of a function, in bytes. CPython's interpreter loop has 427,000.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// The heaviest function. The heaviest that the toolchains build have 800,000 in StarlingMonkey,
/// 300,000 in CPython.
const WEIGHT_MAX: u64 = 4 << 20;

/// All functions together. StarlingMonkey has 20 million.
const WEIGHT_OF_ALL_MAX: u64 = 64 << 20;

/// Functions. StarlingMonkey has 20,000, CPython 14,000.
const FUNCTIONS_MAX: u64 = 100_000;

/// More than is compiled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Heavy {
    #[error(
        "function {function} of core module {module} has {bytes} bytes, more than the {BODY_BYTES_MAX} that one may have: split it"
    )]
    Body {
        module: u64,
        function: u64,
        bytes: u64,
    },
    #[error(
        "function {function} of core module {module} has a weight (its locals, for each branch) of {weight}, more than the {WEIGHT_MAX} that one may have: split it"
    )]
    Function {
        module: u64,
        function: u64,
        weight: u64,
    },
    #[error(
        "its functions have a weight (their locals, for each branch) of more than the {WEIGHT_OF_ALL_MAX} that a component's may have"
    )]
    All,
    #[error("it has more than the {FUNCTIONS_MAX} functions that a component may have")]
    Functions,
}

/// A core module, as far as it has been read.
#[derive(Default)]
struct Module {
    /// Of each type: parameters and results.
    types: Vec<u64>,
    /// Of each function: its type.
    functions: Vec<u32>,
    imported: usize,
    /// Bodies read.
    bodies: usize,
}

/// Looks at each function of a component that is to be compiled.
pub(super) fn check(component: &[u8]) -> Result<(), Heavy> {
    let (mut modules, mut functions, mut all) = (0, 0, 0);
    let mut module = Module::default();
    // What cannot be read is for the compiler to refuse.
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } => {
                modules += 1;
                module = Module::default();
            }
            Payload::TypeSection(types) => {
                let types = types.into_iter().flatten();
                for ty in types.flat_map(wasmparser::RecGroup::into_types) {
                    module.types.push(match &ty.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(ty) => {
                            (ty.params().len() + ty.results().len()) as u64
                        }
                        _ => 0,
                    });
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports().flatten() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
                        module.functions.push(ty);
                        module.imported += 1;
                    }
                }
            }
            Payload::FunctionSection(section) => {
                module.functions.extend(section.into_iter().flatten());
            }
            Payload::CodeSectionEntry(body) => {
                functions += 1;
                if functions > FUNCTIONS_MAX {
                    return Err(Heavy::Functions);
                }
                all += module.weigh(&body, modules - 1)?;
                if all > WEIGHT_OF_ALL_MAX {
                    return Err(Heavy::All);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Module {
    /// The weight of its next function.
    fn weigh(&mut self, body: &FunctionBody<'_>, module: u64) -> Result<u64, Heavy> {
        let index = self.imported + self.bodies;
        self.bodies += 1;
        let function = index as u64;
        let bytes = body.range().len() as u64;
        if bytes > BODY_BYTES_MAX {
            return Err(Heavy::Body {
                module,
                function,
                bytes,
            });
        }
        let weight = self.weight(body, index);
        if weight > WEIGHT_MAX {
            return Err(Heavy::Function {
                module,
                function,
                weight,
            });
        }
        Ok(weight)
    }

    /// The compiler makes each local a value of its own wherever two ways meet, so that what it holds
    /// grows with locals times branches. A branch also carries what its block takes, a call its
    /// parameters and results. Ends soon after it is more than [`WEIGHT_MAX`].
    fn weight(&self, body: &FunctionBody<'_>, index: usize) -> u64 {
        let mut width = self.width_of(index);
        for (count, _) in body.get_locals_reader().into_iter().flatten().flatten() {
            width = width.saturating_add(u64::from(count));
        }
        let (mut weight, mut widest) = (width, 0);
        let operators = body.get_operators_reader().into_iter().flatten();
        for operator in operators.map_while(Result::ok) {
            let branches = match &operator {
                Operator::Block { blockty }
                | Operator::Loop { blockty }
                | Operator::If { blockty } => {
                    widest = self.width_of_block(*blockty).max(widest);
                    1
                }
                Operator::TryTable { try_table } => {
                    widest = self.width_of_block(try_table.ty).max(widest);
                    1 + try_table.catches.len() as u64
                }
                Operator::BrTable { targets } => 1 + u64::from(targets.len()),
                Operator::Else
                | Operator::End
                | Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrOnNull { .. }
                | Operator::BrOnNonNull { .. }
                | Operator::Return => 1,
                _ => 0,
            };
            let carried = match &operator {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    self.width_of(*function_index as usize)
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. }
                | Operator::CallRef { type_index }
                | Operator::ReturnCallRef { type_index } => self.width_of_type(*type_index),
                _ => (width.saturating_add(widest)).saturating_mul(branches),
            };
            weight = carried.saturating_add(weight).saturating_add(1);
            if weight > WEIGHT_MAX {
                break;
            }
        }
        weight
    }

    /// Parameters and results of a function.
    fn width_of(&self, function: usize) -> u64 {
        let ty = self.functions.get(function);
        ty.map_or(0, |ty| self.width_of_type(*ty))
    }

    fn width_of_type(&self, ty: u32) -> u64 {
        self.types.get(ty as usize).copied().unwrap_or(0)
    }

    fn width_of_block(&self, ty: BlockType) -> u64 {
        match ty {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(ty) => self.width_of_type(ty),
        }
    }
}

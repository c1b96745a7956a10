"""Arithmetic on text: numbers, + - * /, parentheses and spaces. It evaluates a syntax tree and nothing else."""

import ast
import operator
from collections.abc import Callable

OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
LONGEST = 1_000


def calculate(expression: str) -> float:
    """Work out an expression, rounded to cents. Raises `ValueError` where it is not arithmetic."""
    if len(expression) > LONGEST:
        raise ValueError("the expression is too long")
    if not set(expression) <= set("0123456789+-*/(). "):
        raise ValueError("invalid characters in expression")
    try:
        return round(float(_value(ast.parse(expression.strip(), mode="eval").body)), 2)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("the expression cannot be read") from error
    except (ZeroDivisionError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
            return OPERATIONS[type(op)](_value(left), _value(right))
        case _:
            raise ValueError("the expression is not arithmetic")

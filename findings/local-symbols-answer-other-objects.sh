#!/usr/bin/env bash
# Guess: a function of internal linkage is invisible outside its object file, so a second object that declares an
# external function of the same name gets the external one, as from any linker.
# Really: llvmlite's MCJIT engine (LLVM's RuntimeDyld) keeps one table of names for all objects, internal functions
# included: a third object that declares the name gets the internal one, without a word, if it was added after the
# external one. Called with the wrong arguments it would read anything.
# Versions: llvmlite 0.46.0 (LLVM 20), CPython 3.11 to 3.13, Linux x86-64.
# Source: llvm/lib/ExecutionEngine/RuntimeDyld/RuntimeDyld.cpp, loadObjectImpl (every function of an object's symbol table
# enters the global table, whatever its binding).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'llvmlite==0.46.0' 2>/dev/null

cat >show.py <<'PYTHON'
import ctypes
import sys

import llvmlite
from llvmlite import binding

binding.initialize_native_target()
binding.initialize_native_asmprinter()


def target():
    return binding.Target.from_default_triple().create_target_machine(codemodel="jitdefault")


emitter = target()
INTERNAL = """
define internal i64 @value() noinline optnone { ret i64 1 }
define i64 @own() { %v = call i64 @value()
  ret i64 %v }
"""
EXTERNAL = "define i64 @value() { ret i64 2 }"
CALLER = """
declare i64 @value()
define i64 @other() { %v = call i64 @value()
  ret i64 %v }
"""


def answers(*texts):
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target())
    for text in texts:
        engine.add_object_file(binding.ObjectFileRef.from_data(emitter.emit_object(binding.parse_assembly(text))))
    engine.finalize_object()
    return [ctypes.CFUNCTYPE(ctypes.c_int64)(engine.get_function_address(name))() for name in ("own", "other")]


print("llvmlite", llvmlite.__version__, "LLVM", ".".join(map(str, binding.llvm_version_info)), "Python", sys.version.split()[0])
print("internal first:", answers(INTERNAL, EXTERNAL, CALLER))
print("external first:", answers(EXTERNAL, INTERNAL, CALLER))
PYTHON
found=$(venv/bin/python show.py)
echo "$found"
grep -q "internal first: \[1, 2\]" <<<"$found" && grep -q "external first: \[1, 1\]" <<<"$found"

"""What goes wrong around a mesh on purpose, and what must hold all the same.

`load` asks a mesh for everything it does and keeps what was acknowledged, `invariants` judges afterwards, `chances` is where all chance
comes from, `report` says what was injected and what became of it. The files of tests inject.
"""

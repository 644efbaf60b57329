# Every target is `python3 course.py <target>`, which is also what to type where make is missing.
PYTHON ?= python3
ARGS ?=

.DEFAULT_GOAL := run
.PHONY: run lab test doctor data clean

run lab test doctor data clean:
	@$(PYTHON) course.py $@ $(ARGS)

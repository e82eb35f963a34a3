# `make demo` and `make test` set up what they need (Testing/setup.sh) and run; see README.md, "For developers".
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
DATA ?= ../shared/data
SCALE ?= small
GOLDEN ?= ../shared/method/golden
START ?= SIFASegmentation/Resources/Models/heart-phantom-1.1.0
SOURCES := SIFASegmentation SIFATraining Testing examples

NUMERICAL := networks/test_winograd networks/test_engine adaptation/test_method_updates adaptation/test_adaptation_works

.PHONY: demo test coverage test-lesser-processor lint docs format setup pictures pictures-real train-default calibrated clean bench-inference bench-cine bench-parity bench-real bench-phantom bench-training \
  bench-adaptation bench-gain bench-kill bench-heart bench-trust bench-uncertainty bench-realism bench-anatomy \
  bench-adapt-real bench-adapt-site bench-ablation bench-unchanged bench-fuzz bench-hostile gallery

demo: $(READY)
	$(RUN) Testing/demo.py demo

# mypy takes one core and a minute, in which the other one need not wait.
test: $(READY)
	$(MAKE) --jobs=2 lint test-lesser-processor
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal

# The same suite, and which lines of the library it runs; a fifth slower.
coverage: $(READY)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal --cov=SIFALib --cov-report=term

# What rounding could change once more, as on another processor: SSE4.1 differs from what any x86 does by itself (CONTRIBUTING.md).
test-lesser-processor: $(READY)
	ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadscope \
	  -m rounding $(NUMERICAL:%=Testing/Python/%.py)

lint: $(READY)
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/mypy
	cd SIFASegmentation && ../$(VENV)/bin/lint-imports --no-logo --no-cache ../pyproject.toml
	$(VENV)/bin/codespell $(SOURCES) docs README.md CONTRIBUTING.md CHANGELOG.md

# The documentation as a site in build/docs; a broken link is an error.
docs: $(READY)
	$(VENV)/bin/mkdocs build --quiet --strict --config-file Testing/Docs/mkdocs.yml

format: $(READY)
	$(VENV)/bin/ruff check --fix $(SOURCES)
	$(VENV)/bin/ruff format $(SOURCES)

setup: $(READY)

# The icon, the sample data's thumbnails and the README's screenshots.
pictures: $(READY)
	$(RUN) Testing/Pictures/draw_icon.py
	$(RUN) Testing/Pictures/render_panels.py
	$(RUN) Testing/Pictures/render_training.py

# The pictures of real scans: the README's, and that of a cine.
pictures-real: $(READY)
	$(RUN) Testing/Pictures/render_real.py --data $(DATA)
	$(RUN) Testing/Pictures/render_cine.py --data $(DATA)/cine_dicom/one_series

$(READY): pyproject.toml constraints.txt Testing/setup.sh
	bash Testing/setup.sh $(PYTHON) $(VENV)
	touch $@

# Slow proofs: each prints a table and writes JSON to Testing/Benchmarks/results/
bench-inference: $(READY)
	$(RUN) Testing/Benchmarks/bench_inference.py
bench-parity: $(READY)
	$(RUN) Testing/Benchmarks/bench_parity.py --golden $(GOLDEN)
# Does the program still draw the same, bit for bit: ten phantoms and the open real scans.
bench-unchanged: $(READY)
	$(RUN) Testing/Benchmarks/bench_unchanged.py --data $(DATA)
# Damaged and hostile headers, 10,000 a format: no signal, no hang, no memory. OPTIONS="--seed 1" for others.
bench-fuzz: $(READY)
	$(RUN) Testing/Benchmarks/bench_fuzz.py $(OPTIONS)
# Every place of every command with everything it should not be. OPTIONS="--every 7" for a part.
bench-hostile: $(READY)
	$(RUN) Testing/Benchmarks/bench_hostile.py $(OPTIONS)
# Real scans, set by set, with pictures. OPTIONS="--model runs/models/heart-1.0.0 --only scd" for others and for a part.
bench-real: $(READY)
	$(RUN) Testing/Benchmarks/bench_real.py --data $(DATA) --pictures Testing/Benchmarks/results/real/pictures $(OPTIONS)
bench-cine: $(READY)
	$(RUN) Testing/Benchmarks/bench_cine.py --data $(DATA) $(OPTIONS)
bench-phantom: $(READY)
	$(RUN) Testing/Benchmarks/bench_phantom.py
# Is the heart found: 200 phantoms whole, tight, cut off, turned and without one, and every real scan?
bench-heart: $(READY)
	$(RUN) Testing/Benchmarks/bench_heart.py --data $(DATA)
# Do flags and familiarity warn of the scans that they should warn of, and of no others?
bench-trust: $(READY)
	$(RUN) Testing/Benchmarks/bench_trust.py --data $(DATA)
# Does the uncertainty know the errors?
bench-uncertainty: $(READY)
	$(RUN) Testing/Benchmarks/bench_uncertainty.py --data $(DATA)
# Do real hearts lie within the distribution of the phantom's?
bench-anatomy: $(READY)
	$(RUN) Testing/Benchmarks/bench_anatomy.py --data $(DATA)
# Do real slices look like just another random one?
bench-realism: $(READY)
	$(RUN) Testing/Benchmarks/bench_realism.py --data $(DATA)
	$(RUN) Testing/Benchmarks/bench_trabeculae.py --data $(DATA)
# What each ingredient of the bundled model brings: hours; stop it and go on whenever you like.
bench-ablation: $(READY)
	$(RUN) Testing/Benchmarks/bench_ablation.py --data $(DATA)
# Pictures of phantoms: tissues, CT and MR.
gallery: $(READY)
	$(RUN) Testing/Benchmarks/phantom_gallery.py build/gallery

# Seconds and memory of an iteration, both schedules.
bench-training: $(READY)
	$(RUN) Testing/Benchmarks/bench_training.py
# The table of the papers on phantoms: hours; stop it and go on whenever you like. SCALE=compact for a GPU.
bench-adaptation: $(READY)
	$(RUN) Testing/Benchmarks/bench_adaptation.py --scale $(SCALE)
# The same question on real scans: phantoms to the unlabelled Sunnybrook patients, from the model in START. Minutes on a GPU.
bench-adapt-real: $(READY)
	$(RUN) Testing/Benchmarks/bench_adapt_real.py --data $(DATA) --start $(START) $(OPTIONS)
# A scanner that no training has seen, made up, so that the truth is known: ten minutes a row on two cores, with TMI 2020 an hour.
bench-adapt-site: $(READY)
	$(RUN) Testing/Benchmarks/bench_adapt_site.py $(OPTIONS)
# Does adapting pay, against as many iterations on the source alone? Five small repetitions, MR to CT.
bench-gain: $(READY)
	$(RUN) Testing/Benchmarks/bench_adaptation.py --scale tiny --seeds 5 --margin 0.03 \
	  --only mr_to_ct-source_only- mr_to_ct-sifa_tmi_2020- --json Testing/Benchmarks/results/gain.json
# A run killed at 100 random moments must end with the weights of one that was left alone.
bench-kill: $(READY)
	$(RUN) Testing/Benchmarks/bench_kill.py

# The bundled models, from nothing: a night on two cores, ten minutes on a large GPU; stop it and go on whenever you like. First
# one of phantoms alone, then, from it, one that learns from contours of real hearts too. A stranger's model must not be called
# like a bundled one, so that calibrate.py gives them their names: the packages are in runs/models.
# PATIENTS=--all: learns from all 29 patients, as the shipped heart does; the documented figures are those of the 15.
# What is shipped went through a second, shorter round and two averages of weights (average.py): docs/decisions/0017.
RUNS = runs
train-default: $(READY)
	test -e $(RUNS)/phantoms || $(RUN) -m SIFALib train $(RUNS)/phantoms --preset pretraining --create-only \
	  --cache $(RUNS)/cache --set method.class_balance=1
	$(RUN) -m SIFALib train $(RUNS)/phantoms
	test -e $(RUNS)/exports/phantoms-1.0.0 || $(RUN) -m SIFALib export $(RUNS)/phantoms phantoms --checkpoint 9000 \
	  --title "Heart, from phantoms" --licence Apache-2.0 --models-folder $(RUNS)/exports
	test -e $(RUNS)/sunnybrook || $(RUN) Testing/Benchmarks/sunnybrook.py $(DATA) $(RUNS)/sunnybrook $(PATIENTS)
	test -e $(RUNS)/contours || $(RUN) -m SIFALib train $(RUNS)/contours --preset pretraining --source $(RUNS)/sunnybrook \
	  --create-only --cache $(RUNS)/cache --start-model $(RUNS)/exports/phantoms-1.0.0
	$(RUN) -m SIFALib train $(RUNS)/contours
	test -e $(RUNS)/exports/contours-1.0.0 || $(RUN) -m SIFALib export $(RUNS)/contours contours --checkpoint 2000 --force \
	  --title "Heart, from phantoms and contours" --licence Apache-2.0 --models-folder $(RUNS)/exports
	$(MAKE) calibrated MODEL=phantoms NAME=heart-phantom
	$(MAKE) calibrated MODEL=contours NAME=heart SOURCE=phantom+contours
SOURCE = phantom
calibrated: $(READY)
	test -e "$(RUNS)/unseen" || $(RUN) -c "from pathlib import Path; from SIFALib.phantom.slices.anatomies import make_anatomies; \
	  make_anatomies(Path('$(RUNS)/unseen'), range(1_000_000, 1_000_006), 2.0)"
	$(RUN) Testing/Benchmarks/calibrate.py $(RUNS)/exports/$(MODEL)-1.0.0 --anatomies "$(RUNS)/cache/tissues 2 mm" \
	  --unseen $(RUNS)/unseen --into $(RUNS)/models/$(NAME)-1.0.0 --id $(NAME) --built-in-source $(SOURCE)

clean:
	rm -rf $(VENV) build demo *.egg-info

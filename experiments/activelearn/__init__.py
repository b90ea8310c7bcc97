"""Evaluation of Active Learning Techniques on Medical Image Classification with Unbalanced Data.

Q. Z. Chong, W. J. Knottenbelt, K. K. Bhatia. DALI workshop at MICCAI 2021, LNCS 13003.

Idea: active learning by uncertainty alone may query the majority class of unbalanced data; compare it with
methods that look for diversity, on balanced and on unbalanced images.
"""

from experiments.activelearn import algorithm, application, config, data, evaluate, run, tables
from experiments.contract import Experiment

EXPERIMENT = Experiment(
    title="Evaluation of Active Learning Techniques on Medical Image Classification with Unbalanced Data "
    "Distributions (Chong et al., DALI 2021)",
    presets=config.PRESETS,
    example_batch=data.example_batch,
    make_data=data.make_data,
    make_algorithm=algorithm.make_algorithm,
    evaluate=evaluate.evaluate,
    tables=tables.TABLES,
    method_field="sampling",
    data_name=data.data_name,
    check_data=application.check_data,
    sample=application.sample,
    predict=application.predict,
    make_inference=evaluate.make_inference,
    run=run.run,
    init_state=run.init_state,
)

"""Work that is not a stage of the pipeline: training the extractor, WebText link lists, ablation corpora."""

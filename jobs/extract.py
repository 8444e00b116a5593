"""Archives, dumps, tables and text to documents: spark-submit jobs/extract.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("extract")

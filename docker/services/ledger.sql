CREATE DATABASE clipquarry;  -- the ledger; Airflow's own tables are in the database 'airflow'
